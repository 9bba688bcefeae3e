import type { Component } from '../../lib/component.ts'
import { AoError } from '../../lib/errors.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { AssignmentLog } from '../../ports/assignment-log.ts'
import type { OwnSession, PeerMemory } from '../../ports/session.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { SignGuard } from '../../ports/sign-guard.ts'
import { type Assignment, parseAssignment } from '../../protocol/assignment.ts'
import type { Address, Nonce, ProcessId } from '../../protocol/ids.ts'
import { isId, parseNonce } from '../../protocol/ids.ts'
import { tagsOf, tagValue } from '../../protocol/tags.ts'
import { parseSession, type Session, type UnitRecord } from '../../protocol/unit-record.ts'
import { failureFacts } from '../failure.ts'
import { Loop } from '../loop.ts'
import { judgeSession, newerSession, type SeenSession, twinRuns } from './session-check.ts'

export interface TwinWatchDeps {
  /** Whose Assignments to look for: this scheduler's key. */
  readonly address: Address
  readonly log: AssignmentLog
  readonly guard: SignGuard
  readonly arweave: ArweaveClient
  readonly telemetry: Telemetry
  /** Without them Arweave alone is asked. */
  readonly session?: OwnSession | undefined
  readonly peers?: PeerMemory | undefined
}
export interface TwinWatchOptions {
  /** Between two looks at Arweave, in milliseconds. */
  readonly pollMs: number
  /** Between two questions to peers. */
  readonly peerPollMs: number
  /** How long a start waits for a peer that ought to be there. */
  readonly peerWaitMs: number
  readonly retryMs: number
  /** Newest Assignments looked at. */
  readonly maxLooked: number
}
export const defaultTwinWatchOptions: TwinWatchOptions = {
  pollMs: 5 * 60_000,
  peerPollMs: 5_000,
  peerWaitMs: 10_000,
  retryMs: 1_000,
  maxLooked: 100,
}

/** Comparisons at once: gossip may bring more than the disk can answer for, and one is enough to stop. */
const maxComparing = 100
const locationTags = tagsOf(['Data-Protocol', 'ao'], ['Type', 'Scheduler-Location'])
/** Between two looks for a peer that ought to be there, in milliseconds. */
const peerRetryMs = 250
const assignmentTags = tagsOf(['Data-Protocol', 'ao'], ['Type', 'Assignment'])

/**
 * Looks for Assignments of this scheduler's own key that its log does not have, and for sessions of it that its data does
 * not know: then the data is an old copy, or another node runs with the key. Asks Arweave and peers before the first
 * signature after each start and goes on asking, and hears what gossip tells.
 */
export class TwinWatch implements Component {
  readonly name = 'twin watch'
  readonly #deps: TwinWatchDeps
  readonly #options: TwinWatchOptions
  readonly #loop: Loop
  readonly #peerLoop: Loop
  #looked = false
  #heard = false
  #waitedMs = 0
  #comparing = 0
  #found: AoError | undefined

  constructor(deps: TwinWatchDeps, options: TwinWatchOptions = defaultTwinWatchOptions) {
    this.#deps = deps
    this.#options = options
    this.#loop = new Loop(
      async ({ signal }) => {
        await this.#look(signal)
        this.#looked = true
        return options.pollMs
      },
      deps.telemetry.log,
      { name: this.name, failurePauseMs: options.retryMs },
    )
    this.#peerLoop = new Loop(({ signal }) => this.#ask(signal), deps.telemetry.log, {
      name: `${this.name} among peers`,
      failurePauseMs: options.retryMs,
    })
  }

  async start(): Promise<void> {
    this.#looked = false
    this.#heard = this.#deps.peers === undefined
    this.#waitedMs = 0
    await this.#loop.start()
    if (this.#deps.peers !== undefined) await this.#peerLoop.start()
  }

  async stop(): Promise<void> {
    await this.#loop.stop()
    await this.#peerLoop.stop()
  }

  /** @throws AoError `NOT_READY` until Arweave was asked; `EQUIVOCATION` once the key was seen at work elsewhere. */
  assertAlone(): void {
    if (this.#found !== undefined) throw this.#found
    if (this.#looked && this.#heard) return
    throw new AoError(
      'NOT_READY',
      `the scheduler has not compared its log with ${this.#looked ? 'its peers' : 'Arweave'} yet`,
      {},
      { hint: 'Try again in a few seconds; if it stays, check the Arweave gateway of this node.' },
    )
  }

  /** To be told of each unit record that is seen, whoever brings it. */
  onRecord({ address, session, issuedAt }: Pick<UnitRecord, 'address' | 'session' | 'issuedAt'>): void {
    if (address !== this.#deps.address || session === undefined) return
    void this.#judge({ session, issuedAt }).catch(error =>
      this.#deps.telemetry.log.warn('twin-watch-failed', failureFacts(error)),
    )
  }

  /** Peers may know what is not settled yet. Gives how long to wait until the next question. */
  async #ask(signal: AbortSignal | undefined): Promise<number> {
    const { peers, address, telemetry } = this.#deps
    const { peerPollMs, peerWaitMs } = this.#options
    const recalled = (await peers?.recall(address, { signal })) ?? []
    for (const { record, assignments } of recalled) {
      if (record !== undefined) await this.#probe(record, signal)
      for (const assignment of assignments) await this.#compare(assignment)
    }
    if (this.#heard) return peerPollMs
    const waiting = peers?.expected === true && recalled.length === 0 && this.#waitedMs < peerWaitMs
    if (waiting) {
      this.#waitedMs += peerRetryMs
      return peerRetryMs
    }
    if (peers?.expected === true && recalled.length === 0) telemetry.log.warn('no-peer-could-be-asked-about-twins', {})
    this.#heard = true
    return peerPollMs
  }

  /** A record may be of a start that is over, or of one that goes on: whoever signed it answers where it says, or not. */
  async #probe(record: UnitRecord, signal: AbortSignal | undefined): Promise<void> {
    const { session, peers } = this.#deps
    if (record.session === undefined || record.session.instance === session?.current.instance) return
    const alive = await peers?.sessionAt(record, { signal })
    if (alive !== undefined) await this.#judge({ session: alive, issuedAt: Number.POSITIVE_INFINITY })
    await this.#judge({ session: record.session, issuedAt: record.issuedAt })
  }

  async #judge(seen: SeenSession): Promise<void> {
    const { session, telemetry } = this.#deps
    const verdict = session === undefined ? 'own' : judgeSession(session, seen)
    if (session === undefined || verdict === 'own' || verdict === 'past') return
    if (verdict === 'newer' && session.confirmed) return session.raiseAbove(seen.session.number)
    if (this.#found !== undefined) return
    this.#found = verdict === 'twin' ? twinRuns(seen) : newerSession(seen, session)
    telemetry.log.error('scheduler-twin-seen', { verdict, ...seen.session, own: session.current.number })
  }

  /** To be told of each Assignment that gossip brings. */
  onAssignment(assignment: Assignment): void {
    if (assignment.scheduler !== this.#deps.address || this.#comparing >= maxComparing) return
    this.#comparing++
    void this.#compare(assignment)
      .catch(error => this.#deps.telemetry.log.warn('twin-watch-failed', failureFacts(error)))
      .finally(() => this.#comparing--)
  }

  async #look(signal: AbortSignal | undefined): Promise<void> {
    const { address, log, arweave } = this.#deps
    const { maxLooked: limit } = this.#options
    const [location] = await arweave.signedBy(address, locationTags, { limit: 1, signal })
    const session = parseSession(tagValue(location?.tags ?? [], 'Session'))
    if (location !== undefined && session !== undefined && this.#isNews(session)) {
      const item = await arweave.item(location.id, { signal }) // as below
      if (item !== undefined && item.owner === address) await this.#judge({ session })
    }
    for (const { id, tags } of await arweave.signedBy(address, assignmentTags, { limit, signal })) {
      const process = tagValue(tags, 'Process')
      const nonce = tagValue(tags, 'Nonce')
      if (!isId(process) || nonce === undefined) continue
      if (((await log.at(process as ProcessId, parseNonce(nonce) as Nonce))?.id as string) === id) continue
      const item = await arweave.item(id, { signal }) // verified: a gateway's word alone stops nobody
      if (item !== undefined && item.owner === address) await this.#compare(parseAssignment(item))
    }
  }

  #isNews(session: Session): boolean {
    const own = this.#deps.session
    return own !== undefined && judgeSession(own, { session }) === 'newer'
  }

  /** Raises the floor, so that no later start signs there either, and stops this one. */
  async #compare(seen: Assignment): Promise<void> {
    const { log, guard, telemetry } = this.#deps
    const { process, epoch, nonce, id } = seen
    const own = await log.at(process, nonce)
    if (own?.id === id) return
    const first = this.#found === undefined
    this.#found ??= new AoError(
      'EQUIVOCATION',
      own === undefined
        ? 'the key of this scheduler has signed more than its log knows'
        : 'the key of this scheduler has signed another message for a nonce of its log',
      { process, nonce, seen: id, own: own?.id },
      {
        hint: 'Another node runs with this key, or this data directory is an old copy: stop this node, and put the newest data directory back.',
      },
    )
    if (first) telemetry.log.error('scheduler-twin-seen', { process, nonce, seen: id, own: own?.id })
    if (own === undefined) await guard.raise([{ process, epoch, nonce, assignment: id }])
  }
}

import type { Component } from '../../lib/component.ts'
import { AoError } from '../../lib/errors.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { AssignmentLog } from '../../ports/assignment-log.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { SignGuard } from '../../ports/sign-guard.ts'
import { type Assignment, parseAssignment } from '../../protocol/assignment.ts'
import type { Address, Nonce, ProcessId } from '../../protocol/ids.ts'
import { isId, parseNonce } from '../../protocol/ids.ts'
import { tagsOf, tagValue } from '../../protocol/tags.ts'
import { failureFacts } from '../failure.ts'
import { Loop } from '../loop.ts'

export interface TwinWatchDeps {
  /** Whose Assignments to look for: this scheduler's key. */
  readonly address: Address
  readonly log: AssignmentLog
  readonly guard: SignGuard
  readonly arweave: ArweaveClient
  readonly telemetry: Telemetry
}
export interface TwinWatchOptions {
  /** Between two looks at Arweave, in milliseconds. */
  readonly pollMs: number
  readonly retryMs: number
  /** Newest Assignments looked at. */
  readonly maxLooked: number
}
export const defaultTwinWatchOptions: TwinWatchOptions = { pollMs: 5 * 60_000, retryMs: 1_000, maxLooked: 100 }

/** Comparisons at once: gossip may bring more than the disk can answer for, and one is enough to stop. */
const maxComparing = 100
const assignmentTags = tagsOf(['Data-Protocol', 'ao'], ['Type', 'Assignment'])

/**
 * Looks for Assignments of this scheduler's own key that its log does not have: then the log is an old copy, or another
 * node runs with the key. Asks Arweave before the first signature after each start, and hears what gossip tells.
 */
export class TwinWatch implements Component {
  readonly name = 'twin watch'
  readonly #deps: TwinWatchDeps
  readonly #options: TwinWatchOptions
  readonly #loop: Loop
  #looked = false
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
  }

  start(): Promise<void> {
    this.#looked = false
    return this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /** @throws AoError `NOT_READY` until Arweave was asked; `EQUIVOCATION` once the key was seen at work elsewhere. */
  assertAlone(): void {
    if (this.#found !== undefined) throw this.#found
    if (this.#looked) return
    throw new AoError(
      'NOT_READY',
      'the scheduler has not compared its log with Arweave yet',
      {},
      { hint: 'Try again in a few seconds; if it stays, check the Arweave gateway of this node.' },
    )
  }

  /** To be told of each Assignment that gossip brings. */
  onAssignment(assignment: Assignment): void {
    if (assignment.scheduler !== this.#deps.address || this.#comparing >= maxComparing) return
    this.#comparing++
    void this.#compare(assignment)
      .catch(error => this.#deps.telemetry.log.warn('twin watch failed', failureFacts(error)))
      .finally(() => this.#comparing--)
  }

  async #look(signal: AbortSignal | undefined): Promise<void> {
    const { address, log, arweave } = this.#deps
    const { maxLooked: limit } = this.#options
    for (const { id, tags } of await arweave.signedBy(address, assignmentTags, { limit, signal })) {
      const process = tagValue(tags, 'Process')
      const nonce = tagValue(tags, 'Nonce')
      if (!isId(process) || nonce === undefined) continue
      if (((await log.at(process as ProcessId, parseNonce(nonce) as Nonce))?.id as string) === id) continue
      const item = await arweave.item(id, { signal }) // verified: a gateway's word alone stops nobody
      if (item !== undefined && item.owner === address) await this.#compare(parseAssignment(item))
    }
  }

  /** Raises the floor, so that no later start signs there either, and stops this one. */
  async #compare(seen: Assignment): Promise<void> {
    const { log, guard, telemetry } = this.#deps
    const { process, epoch, nonce, id } = seen
    const own = await log.at(process, nonce)
    if (own?.id === id) return
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
    telemetry.log.error('scheduler twin seen', { process, nonce, seen: id, own: own?.id })
    if (own === undefined) await guard.raise([{ process, epoch, nonce, assignment: id }])
  }
}

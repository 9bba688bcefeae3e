import type { AbortOptions } from '../../lib/abort.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import { failpoint } from '../../lib/failpoint.ts'
import type { CrankJob } from '../../ports/crank-queue.ts'
import type { ForeignScheduler } from '../../ports/foreign.ts'
import type { PeerDirectory } from '../../ports/peers.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { CrankPart, Messenger, RemoteUnits, Scheduler } from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import { type Address, type Id, isId, type MessageId, type Nonce, type ProcessId } from '../../protocol/ids.ts'
import type { Signer } from '../../protocol/keys.ts'
import { parseProcessSpec } from '../../protocol/message.ts'
import type { AssignmentRequest, Outbox, OutboxMessage, OutboxSpawn } from '../../protocol/result.ts'
import { tagValue } from '../../protocol/tags.ts'
import { type Candidate, firstAnswer } from '../routing/failover.ts'
import type { ProcessRoute, Routes } from '../routing/route.ts'
import { alsoAssignedTo, assignToAll } from './assign-part.ts'
import { ForeignParts, type ForeignPartsDeps } from './foreign-parts.ts'
import type { Ordered } from './job.ts'
import { draftPushed, draftSpawn, draftSpawned, type PushedFrom } from './push.ts'
import { twinOf } from './twin.ts'

export interface PusherDeps extends ForeignPartsDeps {
  readonly signer: Signer
  readonly routes: Pick<Routes, 'process' | 'foreign' | 'foreignAt' | 'hostOf'>
  readonly scheduler: Scheduler
  readonly directory: PeerDirectory
  readonly remote: RemoteUnits
  readonly arweave: ArweaveClient
}
export interface PusherOptions {
  /** A target that everybody answers not to know counts as a wallet after so many tries: a new Process needs a moment. */
  readonly walletAfterAttempts: number
}

type PartAt = AbortOptions & { readonly index: number }

/** What became of a part, and the messages it put into schedules. */
export interface PushOutcome {
  readonly part: CrankPart
  readonly next?: readonly Ordered[]
}

/**
 * Pushes one part of an outbox. A Process believes pushed messages only from the addresses in its `Authority` tags, so
 * a part goes out under this MU's name only if the Process that must believe it names this MU; else it is handed to
 * a living MU it does name.
 */
export class Pusher {
  readonly #deps: PusherDeps
  readonly #options: PusherOptions
  readonly #foreign: ForeignParts

  constructor(deps: PusherDeps, options: PusherOptions) {
    this.#deps = deps
    this.#options = options
    this.#foreign = new ForeignParts(deps)
  }

  /** @throws AoError what `retryAdvice` tells transient from permanent; nothing is kept of a push that threw. */
  async push(job: CrankJob, outbox: Outbox, at: PartAt): Promise<PushOutcome> {
    const { part, next = [] } = await this.#push(job, outbox, at)
    const own: Ordered[] = []
    let shown = part
    // What is ordered in another network has no result here, and no place that a trace could go on from.
    for (const ordered of next) {
      const foreign = await this.#deps.routes.foreign(ordered.process, at)
      if (foreign === undefined) own.push(ordered)
      else if (ordered.message === part.message) shown = { ...part, nonce: undefined, reason: takenBy(foreign) }
    }
    return { part: shown, next: own }
  }

  /** Whether pushing all of it is nothing but to have it ordered by this program's own SU. @throws AoError as `Routes` does. */
  async staysHere(outbox: Outbox, options: AbortOptions): Promise<boolean> {
    const { routes, signer } = this.#deps
    if (outbox.spawns.length > 0 || outbox.assignments.length > 0) return false
    if (outbox.messages.some(({ tags }) => alsoAssignedTo(tags).length > 0)) return false
    for (const target of new Set(outbox.messages.map(message => message.target))) {
      if (!isId(target)) return false
      const { spec } = await routes.process(target as ProcessId, options)
      if (!spec.authorities.includes(signer.address)) return false
      if (routes.hostOf(target as ProcessId, spec) !== signer.address) return false
    }
    return true
  }

  async #push(job: CrankJob, outbox: Outbox, at: PartAt): Promise<PushOutcome> {
    const { index } = at
    const { spec } = await this.#deps.routes.process(job.process, at)
    const from: PushedFrom = { process: job.process, spec, nonce: job.nonce, index, cron: job.cron, root: rootOf(job) }
    const message = outbox.messages[index]
    if (message !== undefined) return this.#pushMessage(job, { message, from }, at)
    const spawn = outbox.spawns[index - outbox.messages.length]
    if (spawn !== undefined) return this.#pushSpawn(job, { spawn, from }, at)
    const request = outbox.assignments[index - outbox.messages.length - outbox.spawns.length]
    if (request !== undefined) return this.#pushAssignment(request, at)
    throw new AoError('INVALID_ARGUMENT', 'the outbox has no such part', { process: job.process, index })
  }

  /** No Process need believe this MU for it: the item is as its own signer made it. */
  async #pushAssignment(request: AssignmentRequest, options: AbortOptions): Promise<PushOutcome> {
    const { assigned, reason } = await assignToAll(request, { ...this.#deps, ...options })
    const [{ message, nonce } = unseen] = assigned
    const target = request.processes.join(' ')
    const part = { kind: 'assignment', target, state: 'pushed', message, nonce } as const
    return { part: { ...part, handedTo: undefined, reason }, next: assigned }
  }

  /** The Processes that the message is assigned to besides read it from Arweave: it is brought there first. */
  async #alsoAssign(
    item: DataItem,
    {
      message,
      scheduled,
      ...options
    }: AbortOptions & { readonly message: OutboxMessage; readonly scheduled: readonly Ordered[] },
  ): Promise<{ readonly next: readonly Ordered[]; readonly reason: string | undefined }> {
    const processes = alsoAssignedTo(message.tags)
    if (processes.length === 0) return { next: scheduled, reason: undefined }
    const { arweave, scheduler } = this.#deps
    await arweave.upload(item, options)
    const request = { message: item.id, processes, baseLayer: false, exclude: [] }
    const { assigned, reason } = await assignToAll(request, { scheduler, ...options })
    return { next: [...scheduled, ...assigned], reason }
  }

  async #pushMessage(
    job: CrankJob,
    { message, from }: { readonly message: OutboxMessage; readonly from: PushedFrom },
    options: AbortOptions,
  ): Promise<PushOutcome> {
    const draft = draftPushed(message, from) // first of all: a part that cannot be an item needs no lookup
    const target = message.target as ProcessId
    const route = await this.#routeOf(target, job, options)
    failpoint('push-routed')
    const part = { kind: 'message', target, state: 'pushed', nonce: undefined, ...noted } as const
    const foreign = route && (await this.#deps.routes.foreign(target, options))
    if (route !== undefined && foreign !== undefined) {
      const item = await this.#foreign.signed(job, draft, { index: from.index, believer: route })
      await foreign.take(item, options)
      failpoint('foreign-taken')
      const { next, reason = takenBy(foreign) } = await this.#alsoAssign(item, { message, scheduled: [], ...options })
      return { part: { ...part, message: item.id, reason }, next }
    }
    if (route !== undefined) {
      const handedTo = await this.#handOver(job, { process: target, route }, options)
      if (handedTo !== undefined) return { part: { ...part, message: undefined, handedTo, reason: handedOver } }
    }
    const item = await this.#deps.signer.sign(draft)
    failpoint('push-signed')
    if (route === undefined) {
      await this.#deps.arweave.upload(item, options)
      failpoint('push-uploaded')
      const { next, reason = toWallet } = await this.#alsoAssign(item, { message, scheduled: [], ...options })
      return { part: { ...part, message: item.id, reason }, next }
    }
    const { assignment, item: ordered } = await this.#schedule(item, options)
    failpoint('push-ordered')
    const also = await this.#alsoAssign(ordered, {
      message,
      scheduled: [{ ...assignment, item: ordered.raw }],
      ...options,
    })
    const { message: id, nonce } = assignment
    return { part: { ...part, message: id, nonce, reason: also.reason }, next: also.next }
  }

  async #pushSpawn(
    job: CrankJob,
    { spawn, from }: { readonly spawn: OutboxSpawn; readonly from: PushedFrom },
    options: AbortOptions,
  ): Promise<PushOutcome> {
    const { routes, signer, scheduler } = this.#deps
    const part = { kind: 'spawn', state: 'pushed', ...noted } as const
    // The parent must believe the news of its child.
    const route = await routes.process(job.process, options)
    const handedTo = await this.#handOver(job, { process: job.process, route }, options)
    if (handedTo !== undefined) {
      return { part: { ...part, target: '', ...unseen, handedTo, reason: handedOver } }
    }
    const draft = draftSpawn(spawn, from)
    const foreign = await routes.foreignAt(parseProcessSpec(draft.tags).scheduler, options)
    const item = await (foreign === undefined ? signer.sign(draft) : this.#foreign.signed(job, draft, from))
    const born = await scheduler.schedule(item, options)
    failpoint('spawn-ordered')
    const { assignment: told, item: news } = await this.#schedule(
      await signer.sign(draftSpawned(spawn, born.process, from)),
      options,
    )
    failpoint('spawn-told')
    // Another MU may have been first. The parent knows its child alone: ours is never cranked.
    const known = tagValue(news.tags, 'Process')
    const child = known === born.process || !isId(known) ? born : firstborn(known as ProcessId)
    return {
      part: { ...part, target: child.process, message: child.message, nonce: child.nonce },
      next: [child, { ...told, item: news.raw }],
    }
  }

  /** Another MU may have pushed the same part before: then the SU answers with the Assignment that one got. */
  async #schedule(item: DataItem, options: AbortOptions): Promise<{ assignment: Assignment; item: DataItem }> {
    const assignment = await this.#deps.scheduler.schedule(item, options)
    if (assignment.message === item.id) return { assignment, item }
    return { assignment, item: await twinOf(item, assignment, { ...this.#deps, ...options }) }
  }

  /** The target's Process item; undefined if it is a wallet. */
  async #routeOf(target: ProcessId, job: CrankJob, options: AbortOptions): Promise<ProcessRoute | undefined> {
    try {
      return await this.#deps.routes.process(target, options)
    } catch (error) {
      const nobodyKnows = hasCode(error, 'UNKNOWN_PROCESS') && error.facts['unanswered'] === 0
      if (nobodyKnows && job.attempts >= this.#options.walletAfterAttempts) return undefined
      throw error
    }
  }

  /** Undefined if the Process names this MU; else who was asked to crank this job. @throws AoError `NOT_ALLOWED` */
  async #handOver(
    job: CrankJob,
    { process, route }: { readonly process: ProcessId; readonly route: ProcessRoute },
    options: AbortOptions,
  ): Promise<Address | undefined> {
    const { signer, directory, remote } = this.#deps
    const { authorities } = route.spec
    if (authorities.includes(signer.address)) return undefined
    const named = (job.cron === undefined ? directory.find('MU') : []).filter(({ address }) =>
      authorities.includes(address),
    )
    if (named.length === 0) {
      throw new AoError(
        'NOT_ALLOWED',
        `the Process ${process} has no tag Authority: ${signer.address}, nor one that names another living MU`,
        { process, authority: signer.address },
        { hint: `Spawn it with the tag Authority: ${signer.address}.` },
      )
    }
    const call = async ({ address, unit }: Candidate<Messenger>): Promise<Address> => {
      await unit.crank(job.process, job.message, { ...options, depth: job.depth, part: job.only })
      return address
    }
    const candidates = named.map(record => ({ address: record.address, unit: remote.messenger(record), local: false }))
    return firstAnswer(candidates, call, { role: 'MU', directory, signal: options.signal })
  }
}

/** Nobody sent a cron message. */
const rootOf = ({ root, cron }: CrankJob): MessageId | undefined => (cron === undefined ? root : undefined)

/** A Process item stands at nonce 0 of its own Process. */
const firstborn = (process: ProcessId): Pick<Assignment, 'process' | 'message' | 'nonce'> => ({
  process,
  message: process as Id as MessageId,
  nonce: 0 as Nonce,
})

const toWallet = 'to a wallet: uploaded to Arweave'
const takenBy = ({ url }: ForeignScheduler): string =>
  `taken by the SU ${url} of another network, which has it evaluated there`
const handedOver = "handed to an MU that the target's Authority names"
const unseen = { message: undefined, nonce: undefined } as const
const noted = { handedTo: undefined, reason: undefined } as const

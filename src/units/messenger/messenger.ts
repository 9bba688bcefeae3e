import { type AbortOptions, throwIfAborted } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Component } from '../../lib/component.ts'
import { AoError, type ErrorFacts, hasCode } from '../../lib/errors.ts'
import { failpoint } from '../../lib/failpoint.ts'
import { type RateLimit, RateLimiter } from '../../lib/rate-limiter.ts'
import type { Gauge, Telemetry } from '../../lib/telemetry.ts'
import type { CrankChange, CrankJob, CrankQueue } from '../../ports/crank-queue.ts'
import type { HostTable } from '../../ports/hosts.ts'
import type { MonitorStore } from '../../ports/monitor-store.ts'
import type { PeerDirectory } from '../../ports/peers.ts'
import type { PromiseStore } from '../../ports/promise-store.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type {
  AssignRequest,
  Compute,
  CrankOptions,
  CrankProgress,
  FollowOptions,
  Messenger,
  RemoteUnits,
  Scheduler,
} from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { type DataItem, defaultItemLimits } from '../../protocol/data-item.ts'
import { type Address, type Id, isId, type MessageId, type ProcessId } from '../../protocol/ids.ts'
import type { Signer } from '../../protocol/keys.ts'
import { tagValue } from '../../protocol/tags.ts'
import type { Routes } from '../routing/route.ts'
import { Crank, type CrankRunOptions, noSuchPart } from './crank.ts'
import { Drain, type DrainOptions } from './drain.ts'
import { Feed } from './feed.ts'
import { type FollowDeps, followAll, followOwn } from './follow.ts'
import type { ForeignPartsDeps } from './foreign-parts.ts'
import { foreignJob, hasFailed, isEnded, newJob, type Ordered, reopened } from './job.ts'
import { Monitors, type MonitorsOptions } from './monitors.ts'
import { type PromiseCourt, Promises, type PromisesOptions } from './promises.ts'
import { Purge, type PurgeOptions } from './purge.ts'
import { Pusher, type PusherOptions } from './pusher.ts'
import { Revival, type RevivalOptions } from './revival.ts'
import { RootBudget } from './root-budget.ts'
import { verifyAtDoor } from './verify.ts'

export interface MessengerUnitDeps extends Pick<ForeignPartsDeps, 'foreignSigner'> {
  /** Its address is what the `Authority` tags of Processes name. */
  readonly signer: Signer
  readonly queue: CrankQueue
  readonly monitors: MonitorStore
  readonly promises: PromiseStore
  readonly court?: PromiseCourt | undefined
  readonly routes: Pick<Routes, 'process' | 'foreign' | 'foreignAt'>
  readonly hosts?: HostTable | undefined
  /** Routed: any Process of the network. */
  readonly scheduler: Scheduler
  /** Routed: any Process of the network. */
  readonly compute: Compute
  readonly directory: PeerDirectory
  readonly remote: RemoteUnits
  readonly arweave: ArweaveClient
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** From 0 to 1; default `Math.random`. */
  readonly random?: () => number
}

export interface MessengerUnitOptions
  extends CrankRunOptions,
    PusherOptions,
    DrainOptions,
    PurgeOptions,
    MonitorsOptions,
    PromisesOptions,
    RevivalOptions {
  readonly maxItemBytes: number
  /** Open crank jobs, above which no new message is taken. What a taken message sets off is always queued. */
  readonly maxOpenJobs: number
  readonly maxFollowers: number
  /** Messages of one wallet. What Processes push is not counted. */
  readonly perWallet: RateLimit
}
export const defaultMessengerUnitOptions: MessengerUnitOptions = {
  maxItemBytes: defaultItemLimits.maxBytes,
  maxOpenJobs: 100_000,
  maxFollowers: 1_000,
  perWallet: { perSecond: 500, burst: 5_000 },
  maxRunning: 64,
  pollMs: 1_000,
  maxLanes: 16,
  maxDepth: 1_000,
  maxParts: 1_000,
  maxRootJobs: 10_000,
  resultTimeoutMs: 60_000,
  retryMs: 500,
  maxRetryMs: 30_000,
  maxRetryAgeMs: 10 * 60_000,
  walletAfterAttempts: 2,
  keepEndedMs: 24 * 60 * 60_000,
  keepEnded: 100_000,
  purgeEveryMs: 10_000,
  maxMonitors: 10_000,
  monitorEveryMs: 5_000,
  monitorTimeoutMs: 60_000,
  revivalEveryMs: 1_000,
  maxPromises: 10_000,
  promisePollMs: 1_000,
  maxPromiseRetryMs: 30_000,
}

/**
 * The MU: takes signed messages, has them ordered, and pushes what they set off until all is quiet.
 *
 * Invariant: a message is answered only once it is ordered and its crank job is on disk. A crash between the two loses
 * the job and nobody was answered: whoever sends the message again gets the same Assignment, and the job.
 */
export class MessengerUnit implements Messenger, Component {
  readonly name = 'messenger unit'
  readonly #deps: MessengerUnitDeps
  readonly #options: MessengerUnitOptions
  readonly #queue: CrankQueue
  readonly #drain: Drain
  readonly #purge: Purge
  readonly #monitors: Monitors
  readonly #revival: Revival
  readonly #promises: Promises
  readonly #budget: RootBudget
  readonly #follow: FollowDeps
  readonly #open: Gauge
  readonly #wallets: RateLimiter
  #stopping = false

  constructor(deps: MessengerUnitDeps, options: MessengerUnitOptions = defaultMessengerUnitOptions) {
    this.#deps = deps
    this.#options = options
    const { random = Math.random } = deps
    this.#budget = new RootBudget(deps.queue, options.maxRootJobs)
    const queue = {
      get: deps.queue.get.bind(deps.queue),
      write: (change: CrankChange) => this.#write(change),
    }
    const crank = new Crank(
      { ...deps, queue, budget: this.#budget, random, pusher: new Pusher(deps, options) },
      options,
    )
    this.#wallets = new RateLimiter(deps.clock, { ...options.perWallet, maxKeys: 10_000 })
    this.#queue = deps.queue
    this.#drain = new Drain(
      { ...deps, run: (job, abort) => crank.run(job, abort), onRun: () => this.#measure() },
      options,
    )
    this.#purge = new Purge(deps, options)
    const enqueue = (add: readonly CrankJob[]): Promise<void> => this.#write({ add })
    this.#monitors = new Monitors({ ...deps, store: deps.monitors, enqueue }, options)
    const reopen = async (jobs: readonly CrankJob[]): Promise<void> => {
      await this.#write({ update: jobs })
      this.#drain.offer(jobs)
    }
    this.#revival = new Revival({ ...deps, reopen }, options)
    const order = (item: DataItem, abort: AbortOptions): Promise<Assignment> => this.#order(item, abort)
    this.#promises = new Promises({ ...deps, store: deps.promises, court: deps.court, order }, options)
    const assertLiving = (): void => this.#assertLiving()
    this.#follow = { ...deps, address: deps.signer.address, feed: new Feed(options.maxFollowers), assertLiving }
    this.#open = deps.telemetry.metrics.gauge('aonet_messenger_open_jobs', 'Crank jobs neither done nor failed')
  }

  async start(): Promise<void> {
    this.#stopping = false
    await this.#drain.start()
    failpoint('mu-started')
    await this.#purge.start()
    await this.#monitors.start()
    await this.#revival.start()
    await this.#promises.start()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#promises.stop()
    await this.#revival.stop()
    await this.#monitors.stop()
    await this.#purge.stop()
    await this.#drain.stop()
    this.#follow.feed.ringAll()
  }

  /** @throws AoError `INVALID_DATA_ITEM` | `TOO_LARGE` at the door, `OVERLOADED`, and what the Process's SU answers. */
  async submit(bytes: Uint8Array, options: AbortOptions = {}): Promise<Assignment> {
    const item = await this.#admit(bytes, options)
    const assignment = await this.#order(item, options)
    if ((assignment.process as Id) === item.id && item.target !== undefined) await this.#tellTarget(item, options)
    failpoint('mu-answering')
    return assignment
  }

  /** @throws AoError as `submit` at the door, and what `Promises.give` throws. */
  async promise(bytes: Uint8Array, options: AbortOptions = {}): Promise<DataItem> {
    return this.#promises.give(await this.#admit(bytes, options), options)
  }

  /** What this MU can show of a message that it promised to deliver. */
  promised(message: MessageId, options: AbortOptions = {}): ReturnType<Promises['shown']> {
    return this.#promises.shown(message, options)
  }

  async #admit(bytes: Uint8Array, { signal }: AbortOptions): Promise<DataItem> {
    throwIfAborted(signal)
    this.#assertLiving()
    failpoint('mu-asked')
    const item = await verifyAtDoor(bytes, { maxBytes: this.#options.maxItemBytes })
    failpoint('mu-verified')
    this.#assertShare(item.owner)
    await this.#assertRoom()
    failpoint('mu-admitted')
    return item
  }

  async #order(item: DataItem, options: AbortOptions): Promise<Assignment> {
    const assignment = await this.#deps.scheduler.schedule(item, options)
    failpoint('mu-ordered')
    await this.#enqueue({ ...assignment, item: item.raw }, assignment.message)
    return assignment
  }

  /** @throws AoError `OVERLOADED`, and what the Process's SU answers. */
  async assign(request: AssignRequest, options: AbortOptions = {}): Promise<Assignment> {
    throwIfAborted(options.signal)
    this.#assertLiving()
    await this.#assertRoom()
    const assignment = await this.#deps.scheduler.assign(request, options)
    await this.#enqueue(assignment, assignment.message)
    return assignment
  }

  async monitor(process: ProcessId, options: AbortOptions = {}): Promise<void> {
    this.#assertLiving()
    const foreign = await this.#deps.routes.foreign(process, options)
    if (foreign !== undefined) throw notMonitored(process, foreign.url)
    await this.#monitors.add(process, options)
  }

  unmonitor(process: ProcessId): Promise<void> {
    return this.#monitors.remove(process)
  }

  async crank(process: ProcessId, message: MessageId, { depth, part, signal }: CrankOptions = {}): Promise<void> {
    throwIfAborted(signal)
    this.#assertLiving()
    const known = await this.#queue.get(process, message)
    if (known !== undefined) return this.#crankAgain(known, { depth, part })
    await this.#assertRoom()
    const { scheduler } = this.#deps
    const assignment = await scheduler.assignment(process, message, { signal })
    const { nonce } = assignment
    for await (const scheduled of scheduler.read(process, { from: nonce, to: nonce }, { signal })) {
      await this.#enqueue(assignment, rootOf(assignment, scheduled.message), { depth, part })
      return
    }
    throw unknownJob(process, message)
  }

  /** Everything that the message's root set off. @throws AoError `UNKNOWN_MESSAGE` if it did not come through this MU. */
  async *follow(process: ProcessId, message: MessageId, options: FollowOptions = {}): AsyncIterable<CrankProgress> {
    const job = await this.#queue.get(process, message)
    if (job === undefined) throw unknownJob(process, message)
    const { ownOnly = false, once = false } = options
    if (ownOnly || once) yield* followOwn(job.root, this.#follow, options)
    else yield* followAll(job, this.#follow, options)
  }

  /** How many crank jobs are neither done nor failed, and how many ended ones are kept to be asked about. */
  async status(): Promise<{ readonly open: number; readonly ended: number }> {
    return { open: await this.#queue.size(), ended: await this.#queue.ended() }
  }

  /** A Process item with a target is assigned to that Process besides. Sending it again does what failed here. */
  async #tellTarget(item: DataItem, options: AbortOptions): Promise<void> {
    const { id, target } = item
    if (target === undefined) return
    await this.#deps.arweave.upload(item, options)
    try {
      await this.assign({ process: target, item: id, baseLayer: false, exclude: [] }, options)
    } catch (error) {
      if (!hasCode(error, 'UNKNOWN_PROCESS')) throw error // it is a wallet
    }
  }

  /** A job that ended badly is opened again for a person who asks, not for another MU, lest two wake each other for ever. */
  async #crankAgain(job: CrankJob, { depth, part }: Pick<CrankOptions, 'depth' | 'part'>): Promise<void> {
    const { process, message, parts, only } = job
    if (part !== undefined && parts.length > 0 && part >= parts.length) {
      throw new AoError('INVALID_ARGUMENT', noSuchPart(parts.length, part), { process, message, part })
    }
    if (!isEnded(job) && only !== undefined && only !== part) throw busyWith(only, { process, message })
    if (depth !== undefined || !isEnded(job) || !hasFailed(job, part)) return
    const again = reopened(job, { now: this.#deps.clock.now(), only: part })
    await this.#write({ update: [again] })
    this.#drain.offer([again])
  }

  async #enqueue(
    assignment: Ordered,
    root: MessageId,
    { depth = 0, part }: Pick<CrankOptions, 'depth' | 'part'> = {},
  ): Promise<void> {
    const now = this.#deps.clock.now()
    const job = newJob(assignment, { root, depth: Math.min(depth, this.#options.maxDepth), now, only: part })
    const foreign = await this.#deps.routes.foreign(assignment.process)
    await this.#write({ add: [foreign === undefined ? job : foreignJob(job, foreign.url)] })
    this.#measure()
  }

  /** One wallet must not take the place of all. Its signature is verified before, so that nobody uses up another's share. */
  #assertShare(wallet: Address): void {
    if (this.#wallets.take(wallet)) return
    const limit = this.#options.perWallet.perSecond
    const hint = 'Send fewer messages a second, or through several MUs.'
    throw new AoError('OVERLOADED', 'too many messages of one wallet', { wallet, limit }, { hint })
  }

  async #assertRoom(): Promise<void> {
    const open = await this.#queue.size()
    if (open < this.#options.maxOpenJobs) return
    throw new AoError(
      'OVERLOADED',
      'too many messages are being pushed',
      { open, limit: this.#options.maxOpenJobs },
      { hint: 'Send again later, or through another MU.' },
    )
  }

  /**
   * Once it is on disk, new jobs begin and whoever follows a root hears of it. Jobs that a job set off begin at once:
   * until they are on disk, it is not ended there either, and would set them off again.
   */
  async #write(change: CrankChange): Promise<void> {
    const { update = [], sync = true } = change
    const begin = (added: readonly CrankJob[]): void => this.#drain.offer(added.filter(job => !isEnded(job)))
    const added = await this.#queue.write(change, { onAdding: sync ? undefined : begin })
    failpoint('mu-written')
    this.#budget.added(added)
    if (update.some(({ state }) => state === 'waiting')) this.#drain.postponed()
    if (sync) begin(added)
    this.#follow.feed.changed([...added, ...update])
  }

  #measure(): void {
    const queue = this.#queue
    queue.size().then(
      open => this.#open.set(open),
      () => undefined, // a gauge is no reason to fail
    )
  }

  #assertLiving(): void {
    if (this.#stopping) throw new AoError('STOPPING', 'the messenger unit is shutting down')
  }
}

/** A pushed message carries the user's message that set it off. */
function rootOf(assignment: Assignment, item: DataItem | undefined): MessageId {
  const pushedFor = item === undefined ? undefined : tagValue(item.tags, 'Pushed-For')
  return isId(pushedFor) ? (pushedFor as MessageId) : assignment.message
}

const notMonitored = (process: ProcessId, url: string): AoError =>
  new AoError(
    'UNSUPPORTED',
    'the Process is of another network: nobody here evaluates its cron messages',
    { process, url },
    { hint: 'Ask an MU of its network.' },
  )

const unknownJob = (process: ProcessId, message: MessageId): AoError =>
  new AoError(
    'UNKNOWN_MESSAGE',
    'this messenger unit has not pushed that message',
    { process, message },
    { hint: 'Ask the MU it was sent to, or have it cranked here.' },
  )

const busyWith = (part: number, facts: ErrorFacts): AoError =>
  new AoError('OVERLOADED', `its part ${part} is being pushed`, facts, { hint: 'Ask again once that is done.' })

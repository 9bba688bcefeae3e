import { type AbortOptions, throwIfAborted } from '../../lib/abort.ts'
import type { Component } from '../../lib/component.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import { failpoint } from '../../lib/failpoint.ts'
import type { CrankChange, CrankJob, CrankQueue } from '../../ports/crank-queue.ts'
import type { AssignRequest, CrankOptions, CrankProgress, FollowOptions, Messenger } from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import { type Id, isId, type MessageId, type ProcessId } from '../../protocol/ids.ts'
import { tagValue } from '../../protocol/tags.ts'
import { Crank } from './crank.ts'
import { Door } from './door.ts'
import { Drain } from './drain.ts'
import { Feed } from './feed.ts'
import { type FollowDeps, followAll, followOwn } from './follow.ts'
import { JobBook } from './job-book.ts'
import { defaultMessengerUnitOptions, type MessengerUnitDeps, type MessengerUnitOptions } from './messenger-options.ts'
import { Monitors } from './monitors.ts'
import { Promises } from './promises.ts'
import { Purge } from './purge.ts'
import { Pusher } from './pusher.ts'
import { Revival } from './revival.ts'
import { RootBudget } from './root-budget.ts'

/**
 * The MU: takes signed messages, has them ordered, and pushes what they set off until all is quiet.
 *
 * Invariant: a message is answered only once it is ordered and its crank job is on disk. A crash between the two loses
 * the job and nobody was answered: whoever sends the message again gets the same Assignment, and the job.
 */
export class MessengerUnit implements Messenger, Component {
  readonly name = 'messenger unit'
  readonly #deps: MessengerUnitDeps
  readonly #queue: CrankQueue
  readonly #drain: Drain
  readonly #purge: Purge
  readonly #monitors: Monitors
  readonly #revival: Revival
  readonly #promises: Promises
  readonly #book: JobBook
  readonly #door: Door
  readonly #follow: FollowDeps
  #stopping = false

  constructor(deps: MessengerUnitDeps, options: MessengerUnitOptions = defaultMessengerUnitOptions) {
    this.#deps = deps
    const { random = Math.random } = deps
    const budget = new RootBudget(deps.queue, options.maxRootJobs)
    const feed = new Feed(options.maxFollowers)
    this.#book = new JobBook({ ...deps, budget, feed, drain: () => this.#drain }, options)
    this.#door = new Door(deps, options)
    const queue = {
      get: deps.queue.get.bind(deps.queue),
      write: (change: CrankChange) => this.#book.write(change),
    }
    const crank = new Crank({ ...deps, queue, budget, random, pusher: new Pusher(deps, options) }, options)
    this.#queue = deps.queue
    this.#drain = new Drain(
      { ...deps, run: (job, abort) => crank.run(job, abort), onRun: () => this.#book.measure() },
      options,
    )
    this.#purge = new Purge(deps, options)
    const enqueue = (add: readonly CrankJob[]): Promise<void> => this.#book.write({ add })
    this.#monitors = new Monitors({ ...deps, store: deps.monitors, enqueue }, options)
    const reopen = async (jobs: readonly CrankJob[]): Promise<void> => {
      await this.#book.write({ update: jobs })
      this.#drain.offer(jobs)
    }
    this.#revival = new Revival({ ...deps, reopen }, options)
    const order = (item: DataItem, abort: AbortOptions): Promise<Assignment> => this.#order(item, abort)
    this.#promises = new Promises({ ...deps, store: deps.promises, court: deps.court, order }, options)
    const assertLiving = (): void => this.#assertLiving()
    this.#follow = { ...deps, address: deps.signer.address, feed, assertLiving }
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
    const item = await this.#door.admit(bytes)
    failpoint('mu-admitted')
    return item
  }

  async #order(item: DataItem, options: AbortOptions): Promise<Assignment> {
    const assignment = await this.#deps.scheduler.schedule(item, options)
    failpoint('mu-ordered')
    await this.#book.enqueue({ ...assignment, item: item.raw }, assignment.message)
    return assignment
  }

  /** @throws AoError `OVERLOADED`, and what the Process's SU answers. */
  async assign(request: AssignRequest, options: AbortOptions = {}): Promise<Assignment> {
    throwIfAborted(options.signal)
    this.#assertLiving()
    await this.#door.assertRoom()
    const assignment = await this.#deps.scheduler.assign(request, options)
    await this.#book.enqueue(assignment, assignment.message)
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
    if (known !== undefined) return this.#book.reopen(known, { depth, part })
    await this.#door.assertRoom()
    const { scheduler } = this.#deps
    const assignment = await scheduler.assignment(process, message, { signal })
    const { nonce } = assignment
    for await (const scheduled of scheduler.read(process, { from: nonce, to: nonce }, { signal })) {
      await this.#book.enqueue(assignment, rootOf(assignment, scheduled.message), { depth, part })
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

import { type AbortOptions, throwIfAborted } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Component } from '../../lib/component.ts'
import { AoError } from '../../lib/errors.ts'
import type { Gauge, Telemetry } from '../../lib/telemetry.ts'
import type { CrankJob, CrankQueue } from '../../ports/crank-queue.ts'
import type { PeerDirectory } from '../../ports/peers.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { Compute, CrankProgress, Messenger, RemoteUnits, Scheduler } from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { type DataItem, defaultItemLimits } from '../../protocol/data-item.ts'
import { isId, type MessageId, type ProcessId } from '../../protocol/ids.ts'
import type { Signer } from '../../protocol/keys.ts'
import { tagValue } from '../../protocol/tags.ts'
import { Bells } from '../bell.ts'
import type { Routes } from '../routing/route.ts'
import { Crank, type CrankOptions } from './crank.ts'
import { Drain, type DrainOptions } from './drain.ts'
import { Pusher, type PusherOptions } from './pusher.ts'
import { verifyAtDoor } from './verify.ts'

export interface MessengerUnitDeps {
  /** Its address is what the `Authority` tags of Processes name. */
  readonly signer: Signer
  readonly queue: CrankQueue
  readonly routes: Pick<Routes, 'process'>
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

export interface MessengerUnitOptions extends CrankOptions, PusherOptions, DrainOptions {
  readonly maxItemBytes: number
  /** Open crank jobs, above which no new message is taken. What a taken message sets off is always queued. */
  readonly maxOpenJobs: number
  readonly maxFollowers: number
}
export const defaultMessengerUnitOptions: MessengerUnitOptions = {
  maxItemBytes: defaultItemLimits.maxBytes,
  maxOpenJobs: 100_000,
  maxFollowers: 1_000,
  maxRunning: 32,
  pollMs: 1_000,
  maxDepth: 64,
  maxParts: 1_000,
  resultTimeoutMs: 60_000,
  retryMs: 500,
  maxRetryMs: 30_000,
  maxRetryAgeMs: 10 * 60_000,
  walletAfterAttempts: 2,
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
  readonly #drain: Drain
  readonly #followers: Bells<MessageId>
  readonly #open: Gauge
  #stopping = false

  constructor(deps: MessengerUnitDeps, options: MessengerUnitOptions = defaultMessengerUnitOptions) {
    this.#deps = deps
    this.#options = options
    const { random = Math.random } = deps
    const notified = this.#notifyingQueue(deps.queue)
    const crank = new Crank({ ...deps, queue: notified, random, pusher: new Pusher(deps, options) }, options)
    this.#drain = new Drain(
      { ...deps, run: (job, abort) => crank.run(job, abort), onRun: () => this.#measure() },
      options,
    )
    this.#followers = new Bells(options.maxFollowers)
    this.#open = deps.telemetry.metrics.gauge('aonet_messenger_open_jobs', 'Crank jobs neither done nor failed')
  }

  async start(): Promise<void> {
    this.#stopping = false
    await this.#drain.start()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#drain.stop()
    this.#followers.ringAll()
  }

  /** @throws AoError `INVALID_DATA_ITEM` | `TOO_LARGE` at the door, `OVERLOADED`, and what the Process's SU answers. */
  async submit(bytes: Uint8Array, options: AbortOptions = {}): Promise<Assignment> {
    throwIfAborted(options.signal)
    if (this.#stopping) throw stopping()
    const item = await verifyAtDoor(bytes, { maxBytes: this.#options.maxItemBytes })
    await this.#assertRoom()
    const assignment = await this.#deps.scheduler.schedule(item, options)
    await this.#enqueue(assignment, assignment.message)
    return assignment
  }

  async crank(process: ProcessId, message: MessageId, options: AbortOptions = {}): Promise<void> {
    throwIfAborted(options.signal)
    if (this.#stopping) throw stopping()
    if ((await this.#deps.queue.get(process, message)) !== undefined) return
    await this.#assertRoom()
    const { scheduler } = this.#deps
    const assignment = await scheduler.assignment(process, message, options)
    const { nonce } = assignment
    for await (const scheduled of scheduler.read(process, { from: nonce, to: nonce }, options)) {
      await this.#enqueue(assignment, rootOf(assignment, scheduled.message))
      return
    }
    throw unknownJob(process, message)
  }

  /** Everything that the message's root set off. @throws AoError `UNKNOWN_MESSAGE` if it did not come through this MU. */
  async *follow(process: ProcessId, message: MessageId, { signal }: AbortOptions = {}): AsyncIterable<CrankProgress> {
    const job = await this.#deps.queue.get(process, message)
    if (job === undefined) throw unknownJob(process, message)
    const { root } = job
    const bell = this.#followers.hang(root)
    try {
      const shown = new Map<string, string>()
      for (;;) {
        const jobs = await this.#deps.queue.ofRoot(root)
        for (const progress of jobs) {
          const key = `${progress.process} ${progress.message}`
          const state = JSON.stringify([progress.state, progress.attempts, progress.reason, progress.parts])
          if (shown.get(key) === state) continue
          throwIfAborted(signal)
          shown.set(key, state)
          yield progress
        }
        if (jobs.every(({ state }) => state === 'done' || state === 'failed')) return
        if (this.#stopping) throw stopping()
        await bell.wait({ signal })
      }
    } finally {
      this.#followers.take(root, bell)
    }
  }

  /** How many crank jobs are neither done nor failed. */
  async status(): Promise<{ readonly open: number }> {
    return { open: await this.#deps.queue.size() }
  }

  async #enqueue({ process, message, nonce }: Assignment, root: MessageId): Promise<void> {
    const job: CrankJob = {
      ...{ process, message, nonce, root, depth: 0, dueAt: this.#deps.clock.now() },
      ...{ state: 'queued', attempts: 0, parts: [], reason: undefined },
    }
    await this.#deps.queue.write({ add: [job] })
    this.#drain.wake()
    await this.#measure()
  }

  async #assertRoom(): Promise<void> {
    const open = await this.#deps.queue.size()
    if (open < this.#options.maxOpenJobs) return
    throw new AoError(
      'OVERLOADED',
      'too many messages are being pushed',
      { open, limit: this.#options.maxOpenJobs },
      { hint: 'Send again later, or through another MU.' },
    )
  }

  /** The same queue; whoever follows a root hears of each change, once it is on disk. */
  #notifyingQueue(queue: CrankQueue): CrankQueue {
    return {
      get: (process, message) => queue.get(process, message),
      open: limit => queue.open(limit),
      ofRoot: root => queue.ofRoot(root),
      size: () => queue.size(),
      write: async change => {
        await queue.write(change)
        if ((change.add?.length ?? 0) > 0) this.#drain.wake()
        for (const { root } of change.update ?? []) this.#followers.ring(root)
      },
    }
  }

  async #measure(): Promise<void> {
    this.#open.set(await this.#deps.queue.size().catch(() => 0))
  }
}

/** A pushed message carries the user's message that set it off. */
function rootOf(assignment: Assignment, item: DataItem | undefined): MessageId {
  const pushedFor = item === undefined ? undefined : tagValue(item.tags, 'Pushed-For')
  return isId(pushedFor) ? (pushedFor as MessageId) : assignment.message
}

const stopping = (): AoError => new AoError('STOPPING', 'the messenger unit is shutting down')

const unknownJob = (process: ProcessId, message: MessageId): AoError =>
  new AoError(
    'UNKNOWN_MESSAGE',
    'this messenger unit has not pushed that message',
    { process, message },
    { hint: 'Ask the MU it was sent to, or have it cranked here.' },
  )

import { type AbortOptions, throwIfAborted } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { failpoint } from '../../lib/failpoint.ts'
import type { Histogram, Telemetry } from '../../lib/telemetry.ts'
import type { AssignmentLog } from '../../ports/assignment-log.ts'
import type { SignGuard, SignPromise } from '../../ports/sign-guard.ts'
import type { Assignment, BlockAnchor, ScheduledMessage } from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { MessageId, ProcessId } from '../../protocol/ids.ts'
import type { Signer } from '../../protocol/keys.ts'
import type { Origin } from '../../protocol/origin.ts'
import { failureFacts } from '../failure.ts'
import { type BatchLimits, FairQueue, type QueueLimits } from './fair-queue.ts'
import { Flight } from './flight.ts'
import { type Planned, planBatch, type Request } from './plan.ts'
import { stopping, writeFailed } from './refusals.ts'
import { Unwritten } from './unwritten.ts'
import { signPromised, type WriteHow, writePromised } from './write-promised.ts'

export interface SequencerDeps {
  readonly signer: Signer
  readonly log: AssignmentLog
  /** Over the same store as the log: its write is the one that waits for the disk. */
  readonly guard: SignGuard
  readonly clock: Clock
  /** The block to stamp; asked once for each batch. @throws AoError `NOT_READY` */
  readonly block: () => BlockAnchor
  /** Which turn of hosting a Process this is; default: as in the log. */
  readonly epochOf?: ((process: ProcessId) => number) | undefined
  /** Hears of each batch once it is durable. */
  readonly onDurable: (batch: readonly ScheduledMessage[]) => void
  readonly telemetry: Telemetry
}

export type SequencerOptions = QueueLimits & BatchLimits

export interface AppendRequest extends AbortOptions {
  /** Fields of an assigned item that the Process is not to see. */
  readonly exclude?: readonly string[] | undefined
  /** Of an item whose signer the Process believes: whoever brings the same part again gets the first answer. */
  readonly origin?: Origin | undefined
}

/**
 * Gives each message of a Process the next Nonce, and pays one disk sync per batch.
 *
 * Invariant: a place in a schedule is promised on disk before a signature for it exists, so a Nonce is never signed for
 * two messages, whatever crashes; an Assignment leaves this class only when promise and row are written; a message has
 * at most one per Process. What failed half-way is gone through again as it is, before anything else of its Processes.
 */
export class Sequencer {
  readonly #deps: SequencerDeps
  readonly #options: SequencerOptions
  readonly #queue: FairQueue<Request>
  readonly #batches: Histogram
  readonly #unwritten: Unwritten
  #batch: Promise<void> = Promise.resolve()
  #draining: Promise<void> | undefined
  #stopping = false
  /** The batch that is being written. */
  #flight: Flight | undefined
  /** Told when so many wait. */
  #grown: { readonly atSize: number; readonly resolve: () => void } | undefined

  constructor(deps: SequencerDeps, options: SequencerOptions) {
    this.#deps = deps
    this.#options = options
    this.#queue = new FairQueue(options)
    this.#unwritten = new Unwritten(deps.guard)
    const { metrics } = deps.telemetry
    metrics.gauge('aonet_scheduler_queued_messages', 'Messages waiting for a nonce', () => this.#queue.size)
    metrics.gauge(
      'aonet_scheduler_unwritten_assignments',
      'Places given to messages whose write failed and will be tried again',
      () => this.#unwritten.size,
    )
    this.#batches = metrics.histogram('aonet_scheduler_batch_messages', 'Messages of one disk sync', batchBuckets)
  }

  /** Finishes what a crash left half done. Without it the first batch does. @throws AoError `STORE_CORRUPT` */
  async start(): Promise<void> {
    this.#stopping = false
    await this.#unwritten.recover()
    await this.#writeAgain()
  }

  /**
   * @param options.signal Heard until the message is queued; after that the order is given.
   * @throws AoError `OVERLOADED` at once when the queue is full, `LOG_WRITE_FAILED` if the disk refuses.
   */
  async append(process: ProcessId, message: DataItem, options: AppendRequest = {}): Promise<Assignment> {
    return this.#enqueue({ process, id: message.id, message, bytes: message.raw.length }, options)
  }

  /** As `append`, of an item that is on Arweave already. */
  async assign(process: ProcessId, id: MessageId, options: AppendRequest = {}): Promise<Assignment> {
    return this.#enqueue({ process, id, message: undefined, bytes: 0 }, options)
  }

  async #enqueue(
    entry: Pick<Request, 'process' | 'id' | 'message' | 'bytes'>,
    { signal, origin, exclude }: AppendRequest,
  ): Promise<Assignment> {
    throwIfAborted(signal)
    if (this.#stopping) throw stopping()
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...entry, origin, exclude, resolve, reject })
      this.#draining ??= this.#drain()
      if (this.#grown !== undefined && this.#queue.size >= this.#grown.atSize) this.#grown.resolve()
    })
  }

  /** Resolves when the batch that is under way is written. @throws AoError `LOG_WRITE_FAILED` if this Process is stuck. */
  async settled(process: ProcessId): Promise<void> {
    await this.#batch
    if (this.#flight !== undefined) await this.#land(this.#flight)
    if (this.#unwritten.holds(process)) throw writeFailed()
  }

  /** Refuses new messages; resolves when every accepted one is durable or rejected. */
  async stop(): Promise<void> {
    this.#stopping = true
    await this.#draining
    await this.#writeAgain()
  }

  async #drain(): Promise<void> {
    for (;;) {
      while (this.#queue.size > 0) {
        await this.#enoughBehind()
        this.#batch = this.#orderAll(this.#queue.take(this.#options))
        await this.#batch
      }
      if (this.#flight === undefined) break
      await this.#land(this.#flight)
    }
    this.#draining = undefined // same tick as the emptiness check, so no message is left waiting
  }

  async #orderAll(batch: readonly Request[]): Promise<void> {
    try {
      await this.#unwritten.recover()
      await this.#writeAgain()
      await this.#order(this.#unwritten.passing(batch, this.#options))
    } catch (error) {
      for (const request of batch) request.reject(error) // those answered already do not hear it
    }
  }

  /** While a batch is written the next is prepared, unless it would be much smaller: then it waits for the disk, and grows. */
  async #enoughBehind(): Promise<void> {
    const flight = this.#flight
    if (flight === undefined) return
    if (this.#queue.size * 2 < flight.count) {
      const grown = new Promise<void>(resolve => {
        this.#grown = { atSize: flight.count / 2, resolve }
      })
      await Promise.race([flight.landed, grown])
      this.#grown = undefined
    }
    if (flight.failed) await this.#land(flight)
  }

  async #order(batch: readonly Request[]): Promise<void> {
    if (batch.length === 0) return
    const { log, guard, clock, block, signer, epochOf } = this.#deps
    const ahead = this.#flight
    const planned = await planBatch(batch, { log, guard, now: () => clock.now(), block: block(), ahead, epochOf })
    if (planned.length === 0) return
    failpoint('su-planned')
    this.#batches.observe(planned.length)
    const promises = planned.map(({ promise }) => promise)
    // A signature that leaves this program only in its row needs no promise ahead: see writePromised.
    if (signer.signRuns !== undefined) return this.#fly(promises, planned, ahead)
    await this.#promise(promises)
    await this.#write(promises, planned, { guarded: true, lookedUp: true })
  }

  /** Signs now; writes when the batch ahead is on disk; answers when this one is. */
  async #fly(promises: readonly SignPromise[], planned: readonly Planned[], ahead: Flight | undefined): Promise<void> {
    const { signed, failure } = await signPromised(promises, { ...this.#deps, tailOf: ahead?.tailOf })
    if (ahead !== undefined) await this.#land(ahead)
    ahead?.assertNotFailed() // nothing of this batch was seen by anybody, so its places are free again
    if (failure !== undefined) throw failure
    failpoint('su-batch-signed')
    const flight = new Flight(this.#deps.log, planned, signed)
    this.#flight = flight
    void flight.landed.then(() => this.#land(flight))
  }

  /** Waits for the disk, then answers. Once for each. */
  async #land(flight: Flight): Promise<void> {
    await flight.landed
    if (this.#flight !== flight) return
    this.#flight = undefined
    if (flight.failed) {
      this.#unwritten.add(flight.promises)
      this.#deps.telemetry.log.error('log-write-failed', { entries: flight.count, ...failureFacts(flight.cause) })
    }
    failpoint('su-appended')
    flight.answerAll()
    failpoint('su-answered')
    if (!flight.failed) this.#deps.onDurable(flight.rows)
  }

  async #promise(promises: readonly SignPromise[]): Promise<void> {
    try {
      await this.#deps.guard.promise(promises)
    } catch (cause) {
      this.#unwritten.add(promises)
      this.#deps.telemetry.log.error('sign-guard-write-failed', { entries: promises.length, ...failureFacts(cause) })
      throw writeFailed(cause)
    }
  }

  /** Signs and appends what is promised, answers those who wait for it, and keeps what failed. */
  async #write(promises: readonly SignPromise[], planned: readonly Planned[], how: WriteHow): Promise<void> {
    const { guard, onDurable, telemetry } = this.#deps
    const { written, failure } = await writePromised(promises, { ...this.#deps, ...how })
    if (written.size < promises.length) {
      this.#unwritten.add(promises.filter(promise => !written.has(promise)))
    }
    for (const { promise, waiting } of planned) {
      const assignment = written.get(promise)
      if (assignment !== undefined) for (const request of waiting) request.resolve(assignment)
    }
    failpoint('su-answered')
    if (how.guarded) guard.release([...written.keys()])
    onDurable([...written].map(([{ message }, assignment]) => ({ assignment, message })))
    if (failure === undefined) return
    telemetry.log.error('log-write-failed', { entries: this.#unwritten.size, ...failureFacts(failure) })
    throw failure
  }

  /** What is stuck stays so until this works: its Processes are refused. */
  async #writeAgain(): Promise<void> {
    const promises = this.#unwritten.takeAll()
    if (promises.length === 0) return
    const { guard, telemetry } = this.#deps
    const entries = promises.length
    try {
      await guard.promise(promises)
    } catch (error) {
      this.#unwritten.putBack(promises)
      return telemetry.log.error('sign-guard-write-failed-again', { entries, ...failureFacts(error) })
    }
    await this.#write(promises, [], { guarded: true, lookedUp: false }).then(
      () => telemetry.log.info('log-written-again', { entries }),
      error => telemetry.log.error('log-write-failed-again', { entries, ...failureFacts(error) }),
    )
  }
}

const batchBuckets = [1, 4, 16, 64, 256]

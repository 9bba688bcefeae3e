import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { type AbortOptions, raceSignal, throwIfAborted } from '../lib/abort.ts'
import { AoError } from '../lib/errors.ts'
import { startThread } from './thread.ts'
import {
  buffersOf,
  fromPlainError,
  type WorkerOptions,
  type WorkerReply,
  type WorkerRequest,
} from './worker-messages.ts'

export interface SlotOptions extends WorkerOptions {
  readonly maxQueued: number
  readonly wallClockMs: number
}
export interface CallOptions extends AbortOptions {
  /** For what follows on a call already taken: not refused however many wait. */
  readonly beyondLimit?: boolean
}
export type LossReason = 'wall-clock' | 'crash'

export interface SlotEvents {
  /** The thread is gone, and with it every live instance it held; `cause` only for a crash. */
  lost(reason: LossReason, cause: unknown): void
  /** How long the thread was busy with one request. */
  worked(milliseconds: number): void
}

interface Job {
  readonly request: WorkerRequest
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** Evaluations that a worker of the quick lane is given ahead, so that it need not wait for this thread after each. */
const aheadQuick = 8

/**
 * One worker thread and the calls that wait for it. The thread is given a few evaluations at a time and anything else
 * alone, so that each can be timed, and taken back until its turn comes near. A thread that is lost is replaced by a
 * fresh one with nothing live.
 */
export class WorkerSlot {
  readonly #options: SlotOptions
  readonly #events: SlotEvents
  readonly #queue: Job[] = []
  #thread: Worker | undefined
  #ready = false
  /** What the thread has, in the order of its answers; it is at work on the first. */
  readonly #given: Job[] = []
  readonly #residents = new Map<number, () => void>()
  #startedAt = 0
  #timer: NodeJS.Timeout | undefined
  #idle: (() => void) | undefined
  #stopping = false

  constructor(options: SlotOptions, events: SlotEvents) {
    this.#options = options
    this.#events = events
  }

  get queued(): number {
    return this.#queue.length
  }

  /** `lost` is called if the thread ends before that live instance is forgotten. */
  onLost(live: number, lost: () => void): void {
    this.#residents.set(live, lost)
  }

  /** @throws AoError `OVERLOADED` */
  assertRoom(): void {
    if (this.#queue.length < this.#options.maxQueued) return
    throw new AoError('OVERLOADED', 'too many calls wait for this worker', { queued: this.#queue.length })
  }

  /** Resolves when the thread takes calls. */
  async start({ signal }: AbortOptions = {}): Promise<void> {
    this.#stopping = false
    await once(this.#spawn(), 'message', { signal })
  }

  /**
   * @param options.signal Takes a waiting call out of the queue; a call the thread already has goes on unheard.
   * @throws AoError `OVERLOADED` | `STOPPING` | `NOT_READY` (the thread was lost) | `DEADLINE` (the call was the one that
   * took longer than the wall clock allows)
   */
  async call(request: WorkerRequest, { signal, beyondLimit = false }: CallOptions = {}): Promise<unknown> {
    throwIfAborted(signal)
    if (this.#stopping) throw stopping()
    if (!beyondLimit) this.assertRoom()
    let job: Job | undefined
    const answer = new Promise((resolve, reject) => {
      job = { request, resolve, reject }
      this.#queue.push(job)
    })
    this.#next()
    return raceSignal(answer, { signal }).finally(() => {
      const waiting = job === undefined ? -1 : this.#queue.indexOf(job)
      if (waiting >= 0) this.#queue.splice(waiting, 1)
    })
  }

  /** Drops a live instance, after whatever the thread is doing. A thread that is gone has none. */
  forget(live: number): void {
    this.#residents.delete(live)
    if (this.#ready) this.#thread?.postMessage({ type: 'close', live } satisfies WorkerRequest)
  }

  /** Refuses new calls and those that wait, lets the running one end, and ends the thread. */
  async stop(): Promise<void> {
    this.#stopping = true
    for (const job of this.#queue.splice(0)) job.reject(stopping())
    if (this.#given.length > 0) await new Promise<void>(resolve => (this.#idle = resolve))
    const thread = this.#thread
    this.#thread = undefined
    await thread?.terminate()
  }

  #spawn(): Worker {
    const thread = startThread('worker', import.meta.url, {
      name: 'aonet-vm',
      workerData: this.#workerOptions() satisfies WorkerOptions,
      env: { TZ: 'UTC' },
      execArgv: [], // nothing inherited: an inspector's port, for one, cannot be shared
      resourceLimits,
    })
    this.#thread = thread
    this.#ready = false
    thread.on('message', (reply: WorkerReply) => this.#onReply(thread, reply))
    thread.on('error', error => this.#lose(thread, 'crash', error))
    thread.on('exit', code => this.#lose(thread, 'crash', new Error(`the worker exited with code ${code}`)))
    return thread
  }

  #workerOptions(): WorkerOptions {
    const { maxLive, lane, sliceMs, moduleDirectory } = this.#options
    return { maxLive, lane, sliceMs, moduleDirectory }
  }

  #next(): void {
    if (this.#queue.length === 0) return
    if (this.#thread === undefined) this.#spawn()
    while (this.#ready && this.#mayGive(this.#queue[0])) this.#give(this.#queue.shift())
  }

  #mayGive(next: Job | undefined): boolean {
    if (next === undefined || this.#given.length === 0) return next !== undefined
    const ahead = this.#options.lane === 'quick' ? aheadQuick : 1
    return this.#given.length < ahead && [next, ...this.#given].every(isEvaluation)
  }

  #give(job: Job | undefined): void {
    if (job === undefined) return
    try {
      const { request } = job
      this.#thread?.postMessage(request, 'image' in request ? buffersOf(request.image) : [])
    } catch (error) {
      job.reject(error) // something in the request cannot be copied
      return
    }
    this.#given.push(job)
    if (this.#given.length === 1) this.#time()
  }

  /** From now on the thread is at work on the first of what it has. */
  #time(): void {
    this.#startedAt = performance.now()
    this.#timer = setTimeout(() => this.#onTimeUp(this.#thread), this.#options.wallClockMs)
  }

  #onReply(thread: Worker, reply: WorkerReply): void {
    if (thread !== this.#thread) return
    if (reply.type === 'ready') this.#ready = true
    else {
      this.#events.worked(performance.now() - this.#startedAt)
      this.#settle(job => (reply.type === 'done' ? job.resolve(reply.value) : job.reject(fromPlainError(reply.error))))
    }
    this.#next()
  }

  // This thread may be the one that was busy: an answer that has arrived meanwhile is heard before the clock.
  #onTimeUp(thread: Worker | undefined): void {
    const [job] = this.#given
    setImmediate(() => {
      if (thread !== undefined && job !== undefined && job === this.#given[0]) this.#lose(thread, 'wall-clock')
    })
  }

  #lose(thread: Worker, reason: LossReason, cause?: unknown): void {
    if (thread !== this.#thread) return
    const wasReady = this.#ready
    this.#thread = undefined
    this.#ready = false
    void thread.terminate()
    this.#events.lost(reason, cause)
    const [atWork, ...behind] = this.#given.splice(0)
    clearTimeout(this.#timer)
    atWork?.reject(reason === 'wall-clock' ? this.#tookTooLong() : crashed(cause))
    for (const job of behind) job.reject(crashed(cause))
    this.#idle?.()
    this.#tellResidents()
    if (wasReady && !this.#stopping) this.#spawn()
    // A thread that dies before it is ready would die again: let the callers know, and the next call try anew.
    else for (const job of this.#queue.splice(0)) job.reject(crashed(cause))
  }

  #tellResidents(): void {
    const residents = [...this.#residents.values()]
    this.#residents.clear()
    for (const lost of residents) lost()
  }

  #settle(end: (job: Job) => void): void {
    clearTimeout(this.#timer)
    const job = this.#given.shift()
    if (job !== undefined) end(job)
    if (this.#given.length > 0) this.#time()
    else this.#idle?.()
  }

  #tookTooLong(): AoError {
    const { wallClockMs } = this.#options
    return new AoError(
      'DEADLINE',
      'the evaluation took longer than this node allows',
      { wallClockMs },
      { hint: replay },
    )
  }
}

const isEvaluation = ({ request }: Job): boolean => request.type === 'handle' || request.type === 'dry-run'

const replay = 'Open the Process again and replay; ask another unit for this message.'
const crashed = (cause: unknown): AoError =>
  new AoError('NOT_READY', 'the worker that held the Process is gone', {}, { cause, hint: replay })
const stopping = (): AoError => new AoError('STOPPING', 'the pool of workers is shutting down')

/**
 * The stack is far larger than the engine's default of 4 MB, so that aos meets its own limit of nested calls, which is
 * the same everywhere, before it meets the engine's, which is not. The heap holds messages and results only: memories of
 * Processes are outside it.
 */
const resourceLimits = { stackSizeMb: 32, maxOldGenerationSizeMb: 1024, maxYoungGenerationSizeMb: 64 }

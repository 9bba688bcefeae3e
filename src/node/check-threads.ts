import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Component } from '../lib/component.ts'
import { AoError } from '../lib/errors.ts'
import type { Telemetry } from '../lib/telemetry.ts'
import { checkSignaturesIn, signatureHolds } from '../protocol/check-aside.ts'
import type { ProcessId } from '../protocol/ids.ts'
import { FairQueue } from '../units/scheduler/fair-queue.ts'
import { type CheckAnswer, type CheckRequest, type CheckThreadData, maxChunkItems, slotBytes } from './check-packet.ts'

export interface CheckThreadsOptions {
  readonly threads: number
  /** Items in one message to a thread: few, so that what follows the checks begins while others are still checked. */
  readonly maxChunk: number
  /** Items that wait for a thread. */
  readonly maxQueued: number
}
export const defaultCheckThreadsOptions: CheckThreadsOptions = {
  threads: Math.max(1, availableParallelism() - 1),
  maxChunk: 16,
  maxQueued: 20_000,
}

/** The digest of a larger item takes longer than its signature. */
const maxHereBytes = 16 * 1024

/** Chunks that a thread has at once: the next lies ready when it is done with one. */
const chunksPerThread = 2

interface Waiting {
  readonly process: ProcessId
  readonly item: Uint8Array
  readonly bytes: number
  readonly resolve: (good: boolean) => void
  readonly reject: (error: unknown) => void
}
/** Bytes that wait: as many as a scheduler has waiting. */
const maxQueuedBytes = 256 * 1024 * 1024

interface Chunk {
  readonly items: readonly Waiting[]
  readonly slot: Slot
}
/** Memory shared with a thread: its chunk's until the answer. */
interface Slot {
  readonly number: number
  readonly bytes: Buffer
}
interface Thread {
  readonly worker: Worker
  readonly free: Slot[]
  /** Sent and not answered, oldest first. */
  readonly sent: Chunk[]
}

/**
 * Checks signatures beside the main thread, in small chunks. What is asked in one turn goes together; nothing waits for
 * a timer.
 */
export class CheckThreads implements Component {
  readonly name = 'check threads'
  readonly #telemetry: Telemetry
  readonly #options: CheckThreadsOptions
  #threads: Thread[] = []
  readonly #queue: FairQueue<Waiting>
  #flushing = false
  #running = false

  constructor(telemetry: Telemetry, options: CheckThreadsOptions = defaultCheckThreadsOptions) {
    this.#telemetry = telemetry
    this.#options = options
    const max = options.maxQueued
    this.#queue = new FairQueue({ maxPending: max, maxPendingPerProcess: max, maxPendingBytes: maxQueuedBytes })
    const { metrics } = telemetry
    metrics.gauge(
      'aonet_check_queued_items',
      'Items that wait for a thread to check their signature',
      () => this.queued,
    )
  }

  get queued(): number {
    return this.#queue.size
  }

  /** Threads come with the first item: most nodes check little. */
  async start(): Promise<void> {
    this.#running = true
    checkSignaturesIn((bytes, process) => this.check(bytes, process))
  }

  /** Refuses what waits with `STOPPING`; whoever checks afterwards does so in Node's pool. */
  async stop(): Promise<void> {
    if (!this.#running) return
    this.#running = false
    checkSignaturesIn(undefined)
    const threads = this.#threads
    this.#threads = []
    const left = threads.flatMap(({ sent }) => sent.flatMap(({ items }) => items))
    left.push(...this.#queue.take({ maxBatch: Number.POSITIVE_INFINITY, maxBatchBytes: Number.POSITIVE_INFINITY }))
    for (const { reject } of left) reject(new AoError('STOPPING', 'the node is shutting down'))
    await Promise.all(threads.map(({ worker }) => worker.terminate()))
  }

  /** Whether the signature is good. @throws AoError `OVERLOADED` when too many wait; `STOPPING` */
  check(bytes: Uint8Array, target: ProcessId): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (!this.#running) return reject(new AoError('STOPPING', 'the node is shutting down'))
      this.#queue.push({ process: target, item: bytes, bytes: bytes.length, resolve, reject })
      if (this.#flushing) return
      this.#flushing = true
      process.nextTick(() => {
        this.#flushing = false
        this.#flush()
      })
    })
  }

  #flush(): void {
    if (!this.#running || this.#checkedHere()) return
    for (let depth = 0; depth < chunksPerThread; depth++) {
      for (let i = 0; i < this.#options.threads && this.#queue.size > 0; i++) {
        this.#threads[i] ??= this.#open()
        const thread = this.#threads[i]
        if (thread !== undefined && thread.sent.length <= depth) this.#send(thread)
      }
    }
  }

  /** One small item while nothing else is under way: a thread and back would take longer than the check. */
  #checkedHere(): boolean {
    const isSmall = this.#queue.size === 1 && this.#queue.bytes <= maxHereBytes
    if (!isSmall || this.#threads.some(({ sent }) => sent.length > 0)) return false
    for (const { item, resolve, reject } of this.#queue.take({ maxBatch: 1, maxBatchBytes: maxHereBytes })) {
      try {
        resolve(signatureHolds(item))
      } catch (error) {
        reject(error)
      }
    }
    return true
  }

  #send({ worker, free, sent }: Thread): void {
    const slot = free.pop()
    if (slot === undefined) return
    const maxBatch = Math.min(this.#options.maxChunk, maxChunkItems)
    const items = this.#queue.take({ maxBatch, maxBatchBytes: slotBytes })
    sent.push({ items, slot })
    worker.postMessage(requestOf(items, slot))
  }

  #open(): Thread {
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const slots = Array.from({ length: chunksPerThread }, () => new SharedArrayBuffer(slotBytes))
    const workerData: CheckThreadData = { slots }
    const worker = new Worker(new URL(`./check-worker.${ending}`, import.meta.url), { workerData })
    worker.unref()
    const free = slots.map((memory, number) => ({ number, bytes: Buffer.from(memory) }))
    const thread: Thread = { worker, free, sent: [] }
    worker.on('message', (good: CheckAnswer) => {
      const chunk = thread.sent.shift()
      if (chunk === undefined) return
      thread.free.push(chunk.slot)
      for (const [i, { resolve }] of chunk.items.entries()) resolve((good & (1 << i)) !== 0)
      this.#flush()
    })
    worker.on('error', error => this.#broke(thread, error))
    return thread
  }

  /** The next item opens another. */
  #broke(thread: Thread, cause: Error): void {
    this.#telemetry.log.error('check-thread-broke', { reason: cause.message })
    this.#threads = this.#threads.filter(other => other !== thread)
    for (const { reject } of thread.sent.splice(0).flatMap(({ items }) => items)) {
      reject(new AoError('INTERNAL', 'a thread that checks signatures broke', {}, { cause }))
    }
    this.#flush()
  }
}

/** Lays a chunk into its slot; an item that is larger goes by itself. */
function requestOf(items: readonly Waiting[], { number, bytes }: Slot): CheckRequest {
  const [first] = items
  if (first !== undefined && first.bytes > slotBytes) return { large: first.item }
  const ends: number[] = []
  let at = 0
  for (const { item } of items) {
    bytes.set(item, at)
    at += item.length
    ends.push(at)
  }
  return { slot: number, ends }
}

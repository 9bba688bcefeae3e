import { AoError } from '../../lib/errors.ts'
import type { ProcessId } from '../../protocol/ids.ts'

export interface QueueLimits {
  /** Entries in all. */
  readonly maxPending: number
  /** Entries of one Process. */
  readonly maxPendingPerProcess: number
  /** Bytes in all; a single larger entry still enters an empty queue. */
  readonly maxPendingBytes: number
}
export interface BatchLimits {
  readonly maxBatch: number
  /** A single larger entry goes alone. */
  readonly maxBatchBytes: number
}
interface Queued {
  readonly process: ProcessId
  readonly bytes: number
}

/**
 * What waits, in the order it came within a Process, and in turns between Processes.
 *
 * Invariant: the Processes stand in the order of their turns; each is there with at least one entry.
 */
export class FairQueue<T extends Queued> {
  readonly #limits: QueueLimits
  readonly #waiting = new Map<ProcessId, T[]>()
  #size = 0
  #bytes = 0

  constructor(limits: QueueLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#size
  }

  /** Of all entries. */
  get bytes(): number {
    return this.#bytes
  }

  /** @throws AoError `OVERLOADED` at a limit, naming it. */
  push(entry: T): void {
    const { maxPending, maxPendingPerProcess, maxPendingBytes } = this.#limits
    const own = this.#waiting.get(entry.process)
    if (this.#size >= maxPending) throw overloaded('the queue is full', this.#size, entry)
    if (this.#size > 0 && this.#bytes + entry.bytes > maxPendingBytes) {
      throw overloaded('the queue holds too many bytes', this.#size, entry)
    }
    if (own !== undefined && own.length >= maxPendingPerProcess) {
      throw overloaded('too many messages of this Process wait', own.length, entry)
    }
    if (own === undefined) this.#waiting.set(entry.process, [entry])
    else own.push(entry)
    this.#size++
    this.#bytes += entry.bytes
  }

  /** Takes one entry of each Process in turn until the batch is full. Whose turn was cut off is first next time. */
  take({ maxBatch, maxBatchBytes }: BatchLimits): readonly T[] {
    const batch: T[] = []
    const taken = new Map<ProcessId, number>()
    let bytes = 0
    // A Map gives entries that are added while it is walked: a Process with more goes to the end of the line.
    for (const [process, entries] of this.#waiting) {
      const at = taken.get(process) ?? 0
      const entry = entries[at]
      if (entry === undefined) break
      if (batch.length >= maxBatch || (batch.length > 0 && bytes + entry.bytes > maxBatchBytes)) break
      batch.push(entry)
      bytes += entry.bytes
      taken.set(process, at + 1)
      this.#waiting.delete(process)
      if (at + 1 < entries.length) this.#waiting.set(process, entries)
    }
    for (const [process, count] of taken) this.#waiting.get(process)?.splice(0, count)
    this.#size -= batch.length
    this.#bytes -= bytes
    return batch
  }
}

const overloaded = (what: string, queued: number, { process }: Queued): AoError =>
  new AoError('OVERLOADED', what, { queued, process }, { hint: 'Send again in a moment.' })

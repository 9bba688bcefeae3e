import { type AbortOptions, throwIfAborted } from '../../lib/abort.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { AssignmentLog } from '../../ports/assignment-log.ts'
import type { NonceRange } from '../../ports/units.ts'
import type { ScheduledMessage } from '../../protocol/assignment.ts'
import type { Nonce, ProcessId } from '../../protocol/ids.ts'
import { Bells } from '../bell.ts'
import { stopping } from './refusals.ts'

/** Reads schedules, and lets whoever follows one wait for what comes. */
export class ScheduleReader {
  readonly #log: AssignmentLog
  readonly #followers: Bells<ProcessId>
  #stopping = false

  constructor(
    { log, telemetry }: { readonly log: AssignmentLog; readonly telemetry: Telemetry },
    { maxFollowers }: { readonly maxFollowers: number },
  ) {
    this.#log = log
    this.#followers = new Bells(maxFollowers)
    telemetry.metrics.gauge('aonet_scheduler_followers', 'Readers that follow a schedule', () => this.#followers.size)
  }

  start(): void {
    this.#stopping = false
  }

  /** Ends followers with `STOPPING`. */
  stop(): void {
    this.#stopping = true
    this.#followers.ringAll()
  }

  /** There is more to read of that Process. */
  grown(process: ProcessId): void {
    this.#followers.ring(process)
  }

  /** A reader that follows ends when its signal fires, and with `STOPPING` when this unit stops. */
  async *read(process: ProcessId, range: NonceRange, { signal }: AbortOptions = {}): AsyncIterable<ScheduledMessage> {
    const log = this.#log
    const bell = range.follow ? this.#followers.hang(process) : undefined
    try {
      let next: number = range.from
      for (;;) {
        const tail = (await log.tail(process))?.nonce ?? -1
        const to = Math.min(range.to ?? tail, tail)
        if (next <= to) {
          for await (const scheduled of log.read(process, { from: next as Nonce, to: to as Nonce })) {
            throwIfAborted(signal)
            yield scheduled
            next = scheduled.assignment.nonce + 1
          }
        }
        if (bell === undefined || (range.to !== undefined && next > range.to)) return
        if (this.#stopping) throw stopping()
        await bell.wait({ signal })
      }
    } catch (error) {
      if (bell === undefined || signal?.aborted !== true) throw error
    } finally {
      if (bell !== undefined) this.#followers.take(process, bell)
    }
  }
}

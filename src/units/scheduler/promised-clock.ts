import type { Clock } from '../../lib/clock.ts'
import { AoError } from '../../lib/errors.ts'
import type { ScheduleFloor, ScheduleFloorStore } from '../../ports/schedule-floor.ts'
import type { BlockAnchor } from '../../protocol/assignment.ts'

/** Written ahead by so much, so that not each promise costs a write; after a restart time begins there. Milliseconds. */
const aheadMs = 2_000

/**
 * The time and block that Assignments are stamped with.
 *
 * Invariant: neither is ever earlier than what was promised, in this program or in one before it.
 */
export class PromisedClock implements Clock {
  readonly #clock: Clock
  readonly #store: ScheduleFloorStore
  #floor: ScheduleFloor | undefined
  #written: ScheduleFloor | undefined
  #loaded = false

  constructor(clock: Clock, store: ScheduleFloorStore) {
    this.#clock = clock
    this.#store = store
  }

  async start(): Promise<void> {
    if (this.#loaded) return
    this.#written = await this.#store.get()
    this.#floor = this.#written
    this.#loaded = true
  }

  /** @throws AoError `NOT_READY` before `start`. */
  now(): number {
    if (!this.#loaded) throw new AoError('NOT_READY', 'the scheduler does not know yet what time it has promised')
    return Math.max(this.#clock.now(), this.#floor?.timestamp ?? 0)
  }

  highest(block: BlockAnchor): BlockAnchor {
    return this.#floor !== undefined && this.#floor.block.height > block.height ? this.#floor.block : block
  }

  /** From now on nothing is stamped earlier than what this gives. Resolves when that is on disk. */
  async promise(head: BlockAnchor): Promise<ScheduleFloor> {
    const floor = { timestamp: this.now(), block: this.highest(head) }
    this.#floor = floor
    const written = this.#written
    if (written === undefined || floor.timestamp > written.timestamp || floor.block.height > written.block.height) {
      const ahead = { ...floor, timestamp: floor.timestamp + aheadMs }
      await this.#store.put(ahead)
      if ((this.#written?.timestamp ?? 0) < ahead.timestamp) this.#written = ahead
    }
    return floor
  }
}

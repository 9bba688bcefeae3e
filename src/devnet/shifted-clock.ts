import type { Clock } from '../lib/clock.ts'
import { AoError } from '../lib/errors.ts'
import { put, type Store } from './store.ts'

/** The time of an embedded Arweave: that of its machine, or so much later as somebody has moved it. Survives restarts. */
export class ShiftedClock implements Clock {
  readonly #base: Clock
  readonly #store: Store
  #shiftMs: number

  private constructor(base: Clock, store: Store, shiftMs: number) {
    this.#base = base
    this.#store = store
    this.#shiftMs = shiftMs
  }

  static async load(base: Clock, store: Store): Promise<ShiftedClock> {
    return new ShiftedClock(base, store, Number((await store.tables.meta.get('clock-shift')) ?? 0))
  }

  now(): number {
    return this.#base.now() + this.#shiftMs
  }

  /** Goes on from there. @throws AoError `INVALID_ARGUMENT` for a time that is over: blocks never go back. */
  async moveTo(timestampMs: number): Promise<void> {
    const shiftMs = timestampMs - this.#base.now()
    if (shiftMs < this.#shiftMs) {
      throw new AoError('INVALID_ARGUMENT', 'that time is over', { timestamp: timestampMs, now: this.now() })
    }
    await this.#store.write([put(this.#store.tables.meta, 'clock-shift', String(shiftMs))])
    this.#shiftMs = shiftMs
  }
}

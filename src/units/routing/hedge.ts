import type { Counter, Metrics } from '../../lib/telemetry.ts'

export interface HedgeOptions {
  /** A second unit is never asked sooner, in milliseconds. */
  readonly floorMs: number
  /** Second questions for each answered one: what hedging may add to the work of the network. */
  readonly share: number
  /** Second questions at once after a long time without. */
  readonly burst: number
}
const defaults: HedgeOptions = { floorMs: 500, share: 0.05, burst: 5 }

/** Answers that are looked back upon, and without which nothing is known about what is slow. */
const window = 128
const enough = 32

/**
 * When a unit that has not answered yet is slow enough to ask a second one beside it: later than 95 of 100 answers came,
 * and no more often than a twentieth of all questions, so that a network which is slow for its load is not asked twice.
 */
export class Hedge {
  readonly #options: HedgeOptions
  readonly #hedged: Counter
  readonly #times: number[] = []
  #next = 0
  #budget: number
  #afterMs: number | undefined

  constructor({ counter }: Metrics, options: Partial<HedgeOptions> = {}) {
    this.#options = { ...defaults, ...options }
    this.#budget = this.#options.burst
    this.#hedged = counter('aonet_routing_hedged_total', 'Questions asked of a second unit beside a slow one')
  }

  /** Milliseconds to wait for an answer before `take`; undefined while too little is known. */
  get afterMs(): number | undefined {
    return this.#afterMs
  }

  /** Whether a second question is within the budget; if so, it is counted. */
  take(): boolean {
    if (this.#budget < 1) return false
    this.#budget -= 1
    this.#hedged.add()
    return true
  }

  /** A unit has answered after so many milliseconds. */
  answered(ms: number): void {
    const { floorMs, share, burst } = this.#options
    this.#budget = Math.min(burst, this.#budget + share)
    this.#times[this.#next] = ms
    this.#next = (this.#next + 1) % window
    if (this.#times.length < enough || this.#next % enough !== 0) return
    const sorted = [...this.#times].sort((a, b) => a - b)
    this.#afterMs = Math.max(floorMs, sorted[Math.floor(sorted.length * 0.95)] ?? floorMs)
  }
}

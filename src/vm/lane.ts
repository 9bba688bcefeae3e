import type { Step } from '../ports/vm.ts'
import type { LiveProcess } from './live-process.ts'

/**
 * Workers of the quick lane are shared by many Processes, so none may hold one for long: a message that uses up its slice
 * of gas is put back and evaluated in the slow lane, and a Process whose message took long all the same goes there with
 * the next. Nothing of this can be seen in a result: whatever ends early here is evaluated again there, with all its gas.
 */
export type Lane = 'quick' | 'slow'

export interface LaneOptions {
  readonly lane: Lane
  /** Milliseconds of its thread's time after which a message counts as long. */
  readonly sliceMs: number
}

/** The answer for a Process that belongs in the other lane: the call left no trace. */
export const elsewhere = 'elsewhere'

/** So many short messages in a row, and a Process of the slow lane may go back. */
const shortEnough = 20

/** A Process in a worker, and whether it may stay. */
export class Resident {
  readonly live: LiveProcess
  readonly #options: LaneOptions
  readonly #clock: () => number
  #leaving = false
  /** The first call pays for compiling, which is not the Process's doing. */
  #warm = false
  #short = 0

  /** @param clock of the thread: what waits for a busy machine does not take long by itself. */
  constructor(live: LiveProcess, options: LaneOptions, clock: () => number) {
    this.live = live
    this.#clock = clock
    this.#options = options
  }

  /** `work` evaluates within so much gas, and gives nothing if that was not enough. */
  async call<T extends Step | Step['evaluation']>(
    work: (slice: bigint | undefined) => Promise<T | undefined>,
  ): Promise<T | typeof elsewhere> {
    if (this.#leaving) return elsewhere
    const start = this.#clock()
    const outcome = await work(this.#options.lane === 'quick' ? this.live.slice : undefined)
    this.#judge(outcome, this.#clock() - start)
    this.#warm = true
    return outcome ?? elsewhere
  }

  #judge(outcome: Step | Step['evaluation'] | undefined, ms: number): void {
    const gas =
      outcome === undefined ? undefined : 'evaluation' in outcome ? outcome.evaluation.gasUsed : outcome.gasUsed
    const long = gas === undefined || gas >= this.live.slice || (this.#warm && ms > this.#options.sliceMs)
    this.#short = long ? 0 : this.#short + 1
    this.#leaving = this.#options.lane === 'quick' ? long : this.#short >= shortEnough
  }
}

import { type AbortOptions, throwIfAborted } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'

/** Callers that wait for something: no more than so many, and none once the unit stops. */
export class Admission {
  readonly #what: string
  readonly #limit: number
  readonly #stopped: AbortSignal
  #waiting = 0

  /** @param what they are many of, for the error. */
  constructor(what: string, limit: number, stopped: AbortSignal) {
    this.#what = what
    this.#limit = limit
    this.#stopped = stopped
  }

  get waiting(): number {
    return this.#waiting
  }

  /** @throws AoError `OVERLOADED` | `STOPPING` */
  async admit<T>({ signal }: AbortOptions, work: () => Promise<T>): Promise<T> {
    throwIfAborted(this.#stopped)
    throwIfAborted(signal)
    if (this.#waiting >= this.#limit) {
      throw new AoError(
        'OVERLOADED',
        `too many ${this.#what}`,
        { waiting: this.#waiting },
        { hint: 'Ask another Compute Unit, or again in a moment.' },
      )
    }
    this.#waiting++
    try {
      return await work()
    } finally {
      this.#waiting--
    }
  }
}

import { type AbortOptions, throwIfAborted } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'

/** Callers that wait for an evaluation: no more than so many, and none once the unit stops. */
export class Admission {
  readonly #limit: number
  readonly #stopped: AbortSignal
  #waiting = 0

  constructor(limit: number, stopped: AbortSignal) {
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
        'too many callers wait for an evaluation',
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

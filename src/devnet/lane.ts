import { AoError } from '../lib/errors.ts'

/** More work waiting than this is refused, so that a flood cannot fill the memory. */
const maxWaiting = 1000

/** Runs one piece of work at a time, in the order asked, so that each sees all that was written before it. */
export class Lane {
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0
  #closed = false

  /** @throws AoError `OVERLOADED` when too much waits, `STOPPING` after `close`. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new AoError('STOPPING', 'the devnet is shutting down')
    if (this.#waiting >= maxWaiting) {
      throw new AoError(
        'OVERLOADED',
        'the devnet has too many writes waiting',
        { limit: maxWaiting },
        { hint: 'Send again a little later.' },
      )
    }
    this.#waiting++
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => undefined).finally(() => this.#waiting--)
    return turn
  }

  /** Refuses new work; resolves when the accepted work is done. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#last
  }
}

import { AoError } from '../lib/errors.ts'

/** As many callers may wait for one lock as a busy unit has requests open. */
const maxWaiting = 10_000

/** Lets one caller at a time hold a key; callers of other keys go side by side. */
export class KeyedLock {
  readonly #last = new Map<string, Promise<void>>()
  #waiting = 0

  /**
   * Runs `work` when it holds all `keys`. Callers of one key are served in the order they came.
   *
   * Invariant: a caller takes its place on all its keys in one go, so two callers never wait for each other.
   *
   * @throws AoError `OVERLOADED` when too many wait.
   */
  async run<T>(keys: readonly string[], work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= maxWaiting) {
      throw new AoError('OVERLOADED', 'too many writes wait for each other', { waiting: this.#waiting })
    }
    const own = [...new Set(keys)]
    const before = own.map(key => this.#last.get(key))
    let release: () => void = () => undefined
    const released = new Promise<void>(resolve => {
      release = resolve
    })
    for (const key of own) this.#last.set(key, released)
    this.#waiting++
    try {
      await Promise.all(before)
      return await work()
    } finally {
      this.#waiting--
      for (const key of own) if (this.#last.get(key) === released) this.#last.delete(key)
      release()
    }
  }
}

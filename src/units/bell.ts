import { type AbortOptions, throwIfAborted } from '../lib/abort.ts'
import { AoError } from '../lib/errors.ts'

/** Remembers one ring: whoever waits next goes on at once, so no event falls between two waits. For one waiter. */
export class Bell {
  #rung = false
  #resume: (() => void) | undefined

  ring(): void {
    this.#rung = true
    this.#resume?.()
  }

  /** Resolves at the next ring, or after `timeoutMs`. @throws AoError `ABORTED` | `DEADLINE` by the signal. */
  async wait({ signal, timeoutMs }: AbortOptions & { timeoutMs?: number | undefined } = {}): Promise<void> {
    throwIfAborted(signal)
    if (!this.#rung) {
      await new Promise<void>(resolve => {
        const timer = timeoutMs === undefined ? undefined : setTimeout(() => this.#resume?.(), timeoutMs)
        const onAbort = (): void => this.#resume?.()
        this.#resume = () => {
          clearTimeout(timer)
          signal?.removeEventListener('abort', onAbort)
          this.#resume = undefined
          resolve()
        }
        signal?.addEventListener('abort', onAbort, { once: true })
      })
    }
    throwIfAborted(signal)
    this.#rung = false
  }
}

/** Bells by key, at most `limit` of them: how readers hear that the log they follow has grown. */
export class Bells<K> {
  readonly #limit: number
  readonly #byKey = new Map<K, Set<Bell>>()
  #hung = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#hung
  }

  /** Give it back with `take`. @throws AoError `OVERLOADED` */
  hang(key: K): Bell {
    if (this.#hung >= this.#limit) {
      throw new AoError(
        'OVERLOADED',
        'too many readers are following',
        { limit: this.#limit },
        { hint: 'Follow fewer at once, or ask another node.' },
      )
    }
    const bell = new Bell()
    const bells = this.#byKey.get(key)
    if (bells === undefined) this.#byKey.set(key, new Set([bell]))
    else bells.add(bell)
    this.#hung++
    return bell
  }

  take(key: K, bell: Bell): void {
    const bells = this.#byKey.get(key)
    if (bells?.delete(bell)) this.#hung--
    if (bells?.size === 0) this.#byKey.delete(key)
  }

  ring(key: K): void {
    for (const bell of this.#byKey.get(key) ?? []) bell.ring()
  }

  ringAll(): void {
    for (const key of [...this.#byKey.keys()]) this.ring(key)
  }
}

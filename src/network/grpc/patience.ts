import { LRUCache } from 'lru-cache'
import { systemClock } from '../../lib/clock.ts'
import { RateLimiter } from '../../lib/rate-limiter.ts'

/** Refusals of one caller that are answered, by the second and at once: each costs us 0.05 ms. */
const answered = { perSecond: 50, burst: 500, maxKeys: 4096 }
/** Milliseconds for which a caller is cut off who goes on all the same. */
const cutMs = 5_000

/** Who was refused so often that refusing him has become the harm. */
export class Patience {
  readonly #refusals = new RateLimiter(systemClock, answered)
  readonly #cut = new LRUCache<string, true>({ max: answered.maxKeys, ttl: cutMs })

  /** Counts a refusal. @returns whether it was one too many: from then on the caller is cut off for a while. */
  losesWith(key: string): boolean {
    if (this.#refusals.take(key)) return false
    this.#cut.set(key, true)
    return true
  }

  hasLostWith(key: string): boolean {
    return this.#cut.has(key)
  }
}

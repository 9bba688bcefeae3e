import type { Clock } from './clock.ts'

export interface RateLimit {
  /** Tokens that come back each second. */
  readonly perSecond: number
  /** Tokens at the most, and at first. */
  readonly burst: number
}

export interface RateLimiterOptions extends RateLimit {
  /** Keys remembered at once. The one longest unused is forgotten first, and so begins anew with a full bucket. */
  readonly maxKeys: number
}

interface Bucket {
  tokens: number
  at: number
}

/** One token bucket per key: short bursts pass, a lasting excess does not. */
export class RateLimiter {
  readonly #clock: Clock
  readonly #options: RateLimiterOptions
  /** Least recently used first. */
  readonly #buckets = new Map<string, Bucket>()

  constructor(clock: Clock, options: RateLimiterOptions) {
    this.#clock = clock
    this.#options = options
  }

  /** Whether so much more is within the limit; if so, it is counted. */
  take(key: string, cost = 1): boolean {
    const bucket = this.#bucket(key)
    if (bucket.tokens < cost) return false
    bucket.tokens -= cost
    return true
  }

  get size(): number {
    return this.#buckets.size
  }

  #bucket(key: string): Bucket {
    const { perSecond, burst, maxKeys } = this.#options
    const now = this.#clock.now()
    const { tokens, at } = this.#buckets.get(key) ?? { tokens: burst, at: now }
    // A clock that was set back gives nothing and takes nothing.
    const bucket = { tokens: Math.min(burst, tokens + (Math.max(0, now - at) * perSecond) / 1000), at: now }
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    const oldest = this.#buckets.keys().next()
    if (this.#buckets.size > maxKeys && !oldest.done) this.#buckets.delete(oldest.value)
    return bucket
  }
}

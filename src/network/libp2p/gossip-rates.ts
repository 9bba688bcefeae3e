import type { Clock } from '../../lib/clock.ts'
import { type RateLimit, RateLimiter } from '../../lib/rate-limiter.ts'
import type { GossipTopic } from '../../ports/peers.ts'

/**
 * What one author may publish on a topic. An SU tells of each message it orders and a CU of each it evaluates, so
 * their topics are wide; what is above is dropped at the first honest neighbour, and nothing correct depends on it.
 */
export const gossipLimits: Readonly<Record<GossipTopic, RateLimit>> = {
  'unit-records': { perSecond: 2, burst: 20 },
  assignments: { perSecond: 500, burst: 2_000 },
  attestations: { perSecond: 500, burst: 2_000 },
  evidence: { perSecond: 5, burst: 50 },
  messages: { perSecond: 20, burst: 100 },
}
/** What one neighbour may hand over on a topic, as a multiple: it forwards for many, but keys cost nothing. */
const neighbourFactor = 20
const maxAuthors = 4096
/** What this node allows itself: below the limit, for clocks and queues on the way bunch messages up. */
const ownFactor = 0.8

/** How much of gossip is looked at, by who wrote it and by who handed it over. */
export class GossipRates {
  readonly #authors: ReadonlyMap<GossipTopic, RateLimiter>
  readonly #neighbours: ReadonlyMap<GossipTopic, RateLimiter>
  readonly #own: ReadonlyMap<GossipTopic, RateLimiter>

  constructor(clock: Clock, limits: Readonly<Record<GossipTopic, RateLimit>> = gossipLimits) {
    const each = (factor: number): ReadonlyMap<GossipTopic, RateLimiter> =>
      new Map(
        Object.entries(limits).map(([topic, { perSecond, burst }]) => [
          topic as GossipTopic,
          new RateLimiter(clock, { perSecond: perSecond * factor, burst: burst * factor, maxKeys: maxAuthors }),
        ]),
      )
    this.#authors = each(1)
    this.#neighbours = each(neighbourFactor)
    this.#own = each(ownFactor)
  }

  /** Whether this node may publish so many items more: others would blame it for what is too much. */
  mayPublish(topic: GossipTopic, items: number): boolean {
    return this.#own.get(topic)?.take('', items) === true
  }

  /** Whether to look at a message of so many items, or whose share is used up. */
  judge(
    topic: GossipTopic,
    { author, neighbour, items }: { readonly author: string; readonly neighbour: string; readonly items: number },
  ): 'fine' | 'author' | 'neighbour' {
    if (this.#authors.get(topic)?.take(author, items) !== true) return 'author'
    if (this.#neighbours.get(topic)?.take(neighbour, items) !== true) return 'neighbour'
    return 'fine'
  }
}

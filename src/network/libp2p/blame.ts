import type { Clock } from '../../lib/clock.ts'

/** The window in which blame is counted, in milliseconds. */
const windowMs = 60_000
/** Rejections of one neighbour that count in a window: 20 keep it on the gray list for some 70 s, more would be longer. */
const maxPerPeer = 20
/** With fewer neighbours than this to blame, half of them is too few to tell who is wrong. */
const minCrowd = 3

/**
 * Bounds what this node's own mistakes can do to its neighbours.
 *
 * When most neighbours seem to lie within a minute, it is more likely that this node is wrong (its clock, its
 * software): then blame stops, so that it does not cut itself off. Lodestar PR #9878 is the story of one that did.
 */
export class BlameLimiter {
  readonly #clock: Clock
  readonly #neighbours: () => number
  readonly #maxPerPeer: number
  readonly #blamed = new Map<string, number>()
  #windowStart = 0

  /** @param neighbours How many peers are connected now. @param perPeer Rejections of one that count in a minute. */
  constructor(clock: Clock, neighbours: () => number, perPeer = maxPerPeer) {
    this.#clock = clock
    this.#neighbours = neighbours
    this.#maxPerPeer = perPeer
  }

  /** Whether a rejection of this neighbour may lower its score; counts it if so. */
  mayBlame(peer: string): boolean {
    const now = this.#clock.now()
    if (now - this.#windowStart >= windowMs) {
      this.#windowStart = now
      this.#blamed.clear()
    }
    const count = this.#blamed.get(peer) ?? 0
    if (count >= this.#maxPerPeer) return false
    const crowd = Math.max(minCrowd, Math.floor(this.#neighbours() / 2))
    if (count === 0 && this.#blamed.size >= crowd) return false
    this.#blamed.set(peer, count + 1)
    return true
  }
}

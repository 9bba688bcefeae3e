import type { Clock } from '../../lib/clock.ts'

/** Milliseconds for which a refused peer is not talked to again: a node that was given a wrong network is soon restarted. */
const refusalMs = 60_000
/** Refusals remembered at once; the oldest is forgotten first, which costs one more handshake. */
const maxRefusals = 1024

/** Peers of other networks, for a while. */
export class Refusals {
  readonly #clock: Clock
  readonly #until = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(peer: string): void {
    this.#until.delete(peer)
    this.#until.set(peer, this.#clock.now() + refusalMs)
    const oldest = this.#until.keys().next()
    if (this.#until.size > maxRefusals && !oldest.done) this.#until.delete(oldest.value)
  }

  has(peer: string): boolean {
    return (this.#until.get(peer) ?? 0) > this.#clock.now()
  }

  list(): readonly string[] {
    return [...this.#until.keys()].filter(peer => this.has(peer))
  }
}

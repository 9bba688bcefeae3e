import { copyOf, sha256, toHex, utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import type { Gossip, GossipTopic, Verdict } from '../ports/peers.ts'
import { verdictOf } from './libp2p/verdict.ts'

type Judge = (bytes: Uint8Array, from: string) => Promise<Verdict>

/** As the real one. */
const maxBytes = 256 * 1024

/** A gossip network inside one process: everyone who joined is everyone's neighbour. For tests. */
export class MemoryGossipHub {
  readonly #members = new Map<string, MemoryGossip>()
  readonly #known = new Set<string>()
  readonly #judging = new Set<Promise<void>>()
  readonly #verdicts: {
    readonly from: string
    readonly to: string
    readonly topic: GossipTopic
    readonly verdict: Verdict
  }[] = []

  /** A new participant. @param name What judges of the others are told as `from`; one of a kind. */
  join(name: string): MemoryGossip {
    if (this.#members.has(name)) throw new TypeError(`${name} has joined already`)
    const member = new MemoryGossip({
      spread: (topic, bytes) => this.#spread(name, topic, bytes),
      isHeard: topic => [...this.#members].some(([to, { judgeOf }]) => to !== name && judgeOf(topic) !== undefined),
    })
    this.#members.set(name, member)
    return member
  }

  /** From now on the participant hears nothing and is not heard. */
  leave(name: string): void {
    this.#members.delete(name)
  }

  /** How each message was judged, in order. */
  get verdicts(): readonly {
    readonly from: string
    readonly to: string
    readonly topic: GossipTopic
    readonly verdict: Verdict
  }[] {
    return this.#verdicts
  }

  /** Resolves when every published message is judged, and those published by judges too. */
  async settled(): Promise<void> {
    while (this.#judging.size > 0) await Promise.all(this.#judging)
  }

  #spread(from: string, topic: GossipTopic, bytes: Uint8Array): void {
    const id = toHex(sha256(utf8(topic), Uint8Array.of(0), bytes))
    if (!this.#members.has(from) || this.#known.has(id)) return
    this.#known.add(id)
    for (const [to, member] of this.#members) {
      const judge = member.judgeOf(topic)
      if (to === from || judge === undefined) continue
      // A turn later and with a copy of its own, as from a network.
      const judging = Promise.resolve().then(async () => {
        const verdict = await judge(copyOf(bytes), from).catch(verdictOf)
        this.#verdicts.push({ from, to, topic, verdict })
      })
      this.#judging.add(judging)
      void judging.finally(() => this.#judging.delete(judging))
    }
  }
}

/** One participant of a hub. Same promises as `Libp2pGossip`, delivered in order and without loss. */
export class MemoryGossip implements Gossip {
  readonly #hub: Hub
  readonly #judges = new Map<GossipTopic, Judge>()

  constructor(hub: Hub) {
    this.#hub = hub
  }

  /** @throws AoError `TOO_LARGE` above 256 KiB. */
  async publish(topic: GossipTopic, ...items: readonly Uint8Array[]): Promise<void> {
    const bytes = items.reduce((sum, { length }) => sum + length, 0)
    if (bytes > maxBytes) throw new AoError('TOO_LARGE', 'too large for gossip', { bytes, limit: maxBytes })
    for (const item of items) this.#hub.spread(topic, item)
  }

  isHeard(topic: GossipTopic): boolean {
    return this.#hub.isHeard(topic)
  }

  subscribe(topic: GossipTopic, judge: Judge): () => void {
    if (this.#judges.has(topic)) throw new TypeError(`topic ${topic} has a judge already`)
    this.#judges.set(topic, judge)
    return () => {
      if (this.#judges.get(topic) === judge) this.#judges.delete(topic)
    }
  }

  readonly judgeOf = (topic: GossipTopic): Judge | undefined => this.#judges.get(topic)
}

interface Hub {
  readonly spread: (topic: GossipTopic, bytes: Uint8Array) => void
  readonly isHeard: (topic: GossipTopic) => boolean
}

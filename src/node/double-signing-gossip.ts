import type { Gossip, GossipTopic, Verdict } from '../ports/peers.ts'
import { draftAssignment, parseAssignment } from '../protocol/assignment.ts'
import { parseStoredItem } from '../protocol/data-item.ts'
import type { Id, MessageId } from '../protocol/ids.ts'
import type { Signer } from '../protocol/keys.ts'

/**
 * A fault for testnets: an SU that tells the network one order and then another. Its log and its settlement stay
 * honest; what it signs besides is enough to be found out.
 */
export class DoubleSigningGossip implements Gossip {
  readonly #inner: Gossip
  readonly #signer: Signer
  /** Of that Process it tells the truth, or who would judge it. */
  readonly #spared: Id | undefined

  constructor(inner: Gossip, signer: Signer, spared?: Id) {
    this.#inner = inner
    this.#signer = signer
    this.#spared = spared
  }

  async publish(topic: GossipTopic, ...items: readonly Uint8Array[]): Promise<void> {
    await this.#inner.publish(topic, ...items)
    if (topic === 'assignments') for (const item of items) await this.#contradict(item)
  }

  isHeard(topic: GossipTopic): boolean {
    return this.#inner.isHeard(topic)
  }

  async #contradict(bytes: Uint8Array): Promise<void> {
    const assignment = parseAssignment(parseStoredItem(bytes))
    const isSpared = (assignment.process as Id) === this.#spared
    if (assignment.nonce === 0 || assignment.scheduler !== this.#signer.address || isSpared) return
    const other = { ...assignment, message: assignment.id as Id as MessageId }
    await this.#inner.publish('assignments', (await this.#signer.sign(draftAssignment(other))).raw)
  }

  subscribe(topic: GossipTopic, judge: (bytes: Uint8Array, from: string) => Promise<Verdict>): () => void {
    return this.#inner.subscribe(topic, judge)
  }
}

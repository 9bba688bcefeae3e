import type { AbortOptions } from '../lib/abort.ts'
import type { Address } from '../protocol/ids.ts'
import type { UnitRecord, UnitRole } from '../protocol/unit-record.ts'

/** Who offers what, as told by signed unit records and ranked by what this node has seen of them. */
export interface PeerDirectory {
  /** Living units of the role, best first. This node's own record is among them. */
  find(role: UnitRole): readonly UnitRecord[]
  get(address: Address): UnitRecord | undefined
  all(): readonly UnitRecord[]
  /** A call to that unit worked or failed, and why: moves it in the ranking. */
  report(address: Address, outcome: 'ok' | 'failed', failure?: unknown): void
  /** Resolves when a unit with that address is known. @throws AoError `DEADLINE` | `ABORTED` by the signal. */
  waitFor(address: Address, options?: AbortOptions): Promise<UnitRecord>
}

/** What is spread. Payloads are signed ANS-104 bytes, whatever the topic. */
export const gossipTopics = ['unit-records', 'assignments', 'attestations', 'evidence', 'messages'] as const
export type GossipTopic = (typeof gossipTopics)[number]

/** `accept` forwards; `ignore` drops without blame; `reject` drops and lowers the sender's score. */
export type Verdict = 'accept' | 'ignore' | 'reject'

/** Signed facts spread to all; delivery is best effort, so nothing correct may depend on it. */
export interface Gossip {
  /** Items of one call travel together. */
  publish(topic: GossipTopic, ...items: readonly Uint8Array[]): Promise<void>
  /** Whether any neighbour listens now. */
  isHeard(topic: GossipTopic): boolean
  /** One judge per topic: it sees each item of a message once, before that is forwarded. Returns how to unsubscribe. */
  subscribe(topic: GossipTopic, judge: (bytes: Uint8Array, from: string) => Promise<Verdict>): () => void
}

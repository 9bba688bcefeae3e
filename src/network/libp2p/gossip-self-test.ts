import type { Clock } from '../../lib/clock.ts'
import { AoError } from '../../lib/errors.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import { parseStoredItem } from '../../protocol/data-item.ts'
import { parseUnitRecord, type UnitRecord } from '../../protocol/unit-record.ts'
import type { Libp2pHost } from './host.ts'

export interface GossipSelfTestDeps extends Telemetry {
  readonly clock: Clock
  readonly host: Pick<Libp2pHost, 'peers' | 'onPeer'>
  /** The record that this node published last. */
  own(): UnitRecord | undefined
  /** All records that a peer holds. */
  ask(peer: string): Promise<readonly Uint8Array[]>
}

export type GossipHealth = 'untested' | 'ok' | 'failing'

/**
 * A record reaches a peer by an exchange when the two meet, and by gossip at any time. One that was published so much
 * later than they met, in milliseconds, can have come by gossip only.
 */
const settledMs = 4_000
/** How long gossip may take to a neighbour. */
const arrivalMs = 5_000
/** Milliseconds until the next test, after a good one and after a bad one. */
const againMs = { ok: 10 * 60_000, failing: 30_000 } as const

/**
 * Finds out whether what this node publishes arrives: asks a neighbour for what it holds of this node. A pubsub that
 * delivers nothing and says nothing has happened before (libp2p 3 with the package of version 2).
 */
export class GossipSelfTest {
  readonly #deps: GossipSelfTestDeps
  readonly #metAt = new Map<string, number>()
  #health: GossipHealth = 'untested'
  #running: Promise<void> | undefined
  #dueAt = 0
  #unlisten: () => void = () => undefined

  constructor(deps: GossipSelfTestDeps) {
    this.#deps = deps
    deps.metrics.gauge('aonet_network_gossip_failing', '1 if what is published does not arrive', () =>
      this.#health === 'failing' ? 1 : 0,
    )
  }

  get health(): GossipHealth {
    return this.#health
  }

  start(): void {
    const { host, clock } = this.#deps
    for (const peer of host.peers) this.#metAt.set(peer, clock.now())
    this.#unlisten = host.onPeer({
      joined: peer => this.#metAt.set(peer, this.#metAt.get(peer) ?? clock.now()),
      left: peer => this.#metAt.delete(peer),
    })
  }

  async stop(): Promise<void> {
    this.#unlisten()
    this.#metAt.clear()
    await this.#running
  }

  /** Tests when it is due and there is something to go by. To be called often; returns at once. */
  tick(): void {
    const { clock, own } = this.#deps
    const now = clock.now()
    const published = own()?.issuedAt ?? now
    if (this.#running !== undefined || now < this.#dueAt || now - published < arrivalMs) return
    const peers = [...this.#metAt].filter(([, metAt]) => published - metAt >= settledMs).map(([peer]) => peer)
    const peer = peers[Math.floor(Math.random() * peers.length)]
    if (peer === undefined) return
    this.#running = this.#test(peer, published).finally(() => {
      this.#running = undefined
    })
  }

  async #test(peer: string, published: number): Promise<void> {
    const { clock, log, own, ask } = this.#deps
    try {
      const address = own()?.address
      const held = (await ask(peer)).map(bytes => parseUnitRecord(parseStoredItem(bytes)))
      const arrived = held.some(record => record.address === address && record.issuedAt >= published)
      if (!arrived) log.error('gossip-self-test-failed', { peer, hint: 'What this node publishes does not arrive.' })
      else if (this.#health !== 'ok') log.info('gossip-self-test-passed', { peer })
      this.#health = arrived ? 'ok' : 'failing'
    } catch (error) {
      // Who does not answer, or answers nonsense, says nothing about gossip: another one is asked.
      log.debug('gossip-self-test-unanswered', { peer, reason: AoError.from(error).message })
    }
    this.#dueAt = clock.now() + (this.#health === 'untested' ? 0 : againMs[this.#health])
  }
}

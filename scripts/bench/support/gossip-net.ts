import { memory } from '@libp2p/memory'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { Libp2pGossip } from '../../../src/network/libp2p/gossip.ts'
import { defaultHostLimits, Libp2pHost } from '../../../src/network/libp2p/host.ts'
import { topicName } from '../../../src/network/libp2p/names.ts'
import { generateKey } from '../../../src/protocol/keys.ts'
import { eventually } from '../../../test/support/eventually.ts'

const networkHash = 'bench-parameters-hash-of-43-characters-----'
const topic = 'messages'

export interface BenchPeer {
  readonly host: Libp2pHost
  readonly gossip: Libp2pGossip
}

/** Many hosts with gossip in one process, over links in memory with the real noise, yamux and gossipsub. */
export class GossipNet {
  readonly peers: BenchPeer[] = []
  /** When each message was seen by each peer that did not send it, in milliseconds since it was published. */
  readonly seen: number[] = []
  /** Bytes of gossip handed to all links. */
  sent = 0
  #publishedAt = 0
  #arrived = 0

  /** @param degree links that each peer opens to peers chosen by a fixed rule. */
  async start(count: number, degree: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const host = new Libp2pHost(silentTelemetry, {
        ...{ privateKey: generateKey('ed25519'), listen: [`/memory/bench-${count}-${i}`], bootstrap: [], mdns: false },
        ...{ networkHash, allowSameIp: true, version: 'bench', limits: defaultHostLimits, dht: false },
        transports: [memory()],
      })
      const gossip = new Libp2pGossip({ ...silentTelemetry, host })
      await host.start()
      await gossip.start()
      gossip.subscribe(topic, async () => {
        this.seen.push(performance.now() - this.#publishedAt)
        this.#arrived++
        return 'accept'
      })
      this.peers.push({ host, gossip })
    }
    await this.#link(degree)
    const linked = ({ host, gossip }: BenchPeer): boolean => gossip.subscribers(topic).length === host.peers.size
    await eventually('all hear of all subscriptions', () => this.peers.every(linked), 120_000)
    const meshed = ({ host }: BenchPeer): boolean =>
      host.pubsub.getMeshPeers(topicName(networkHash, topic)).length >= Math.min(4, host.peers.size)
    await eventually('meshes', () => this.peers.every(meshed), 60_000)
    this.#count()
  }

  /** Publishes from a peer and resolves when all others have seen it, or after ten seconds. Returns how many have. */
  async publish(from: number, bytes: Uint8Array): Promise<number> {
    this.#arrived = 0
    this.#publishedAt = performance.now()
    await this.peers[from]?.gossip.publish(topic, bytes)
    await eventually('all have seen it', () => this.#arrived >= this.peers.length - 1, 10_000).catch(() => undefined)
    return this.#arrived
  }

  /** Mean number of mesh neighbours. */
  get meshDegree(): number {
    const name = topicName(networkHash, topic)
    return this.peers.reduce((sum, { host }) => sum + host.pubsub.getMeshPeers(name).length, 0) / this.peers.length
  }

  async stop(): Promise<void> {
    await Promise.all(this.peers.map(({ gossip }) => gossip.stop()))
    await Promise.all(this.peers.map(({ host }) => host.stop()))
  }

  async #link(degree: number): Promise<void> {
    const { peers } = this
    for (const [i, { host }] of peers.entries()) {
      for (let k = 0; k < degree; k++) {
        const to = peers[(i + 1 + k * k * 7) % peers.length]?.host
        if (to === undefined || to === host || host.peers.has(to.peerId)) continue
        await host.dial(to.peerId, to.multiaddrs)
      }
    }
  }

  #count(): void {
    for (const { host } of this.peers) {
      const streams = host.pubsub.streamsOutbound as ReadonlyMap<string, { push(data: { length: number }): void }>
      for (const stream of streams.values()) {
        const push = stream.push.bind(stream)
        stream.push = data => {
          this.sent += data.length
          push(data)
        }
      }
    }
  }
}

import '../../lib/polyfill.ts'
import { gossipsub } from '@libp2p/gossipsub'
import { type Identify, identify } from '@libp2p/identify'
import type { KadDHT } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { type Ping, ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import type { Libp2pOptions } from 'libp2p'
import { systemClock } from '../../lib/clock.ts'
import type { PrivateJwk } from '../../protocol/keys.ts'
import { type DhtHooks, dhtService } from './dht.ts'
import { type GossipRouter, gossipOptions, tellUnsigned } from './gossip-options.ts'
import { mdnsServiceTag } from './names.ts'
import { libp2pKeyOf } from './peer-key.ts'
import { type ReachabilityOptions, reachability } from './reachability.ts'

export interface HostLimits {
  /** Connections at once; above it the least useful are closed. */
  readonly maxConnections: number
  /** New connections a second from one IP address. */
  readonly maxInboundPerSecond: number
}
export const defaultHostLimits: HostLimits = { maxConnections: 200, maxInboundPerSecond: 10 }

export interface Libp2pHostOptions extends ReachabilityOptions {
  /** The unit key, Ed25519: PeerId and AO address both come from it. */
  readonly privateKey: PrivateJwk
  /** Multiaddrs, such as `/ip4/127.0.0.1/tcp/0`. */
  readonly listen: readonly string[]
  /** What others should dial, where that is not what is listened on (0.0.0.0, port forwarding). */
  readonly announce?: readonly string[] | undefined
  /** Multiaddrs of nodes to join through, with or without `/p2p/…`. This node's own is left out. */
  readonly bootstrap: readonly string[]
  /** Look for nodes on the local net. */
  readonly mdns: boolean
  /** PeerIds never talked to. */
  readonly deny?: readonly string[] | undefined
  /** PeerIds talked to, and no others; all if it is empty. */
  readonly allow?: readonly string[] | undefined
  /** The content of a `swarm.key` file: only who has it gets past the first byte. */
  readonly preSharedKey?: Uint8Array | undefined
  /** Take part in the DHT. Default true. */
  readonly dht?: boolean | undefined
  /** `paramsHash`: peers of another network are refused. */
  readonly networkHash: string
  /** Many nodes share an IP address (a testnet on one machine): no penalty and no rate limit for that. */
  readonly allowSameIp: boolean
  /** Shown to peers as `aonet/<version>`. */
  readonly version: string
  readonly limits: HostLimits
  /** Other transports than TCP, for tests of many nodes in one process. */
  readonly transports?: Libp2pOptions['transports'] | undefined
}

export type HostServices = { pubsub: GossipRouter; identify: Identify; ping: Ping; dht?: KadDHT }

export interface HostHooks extends DhtHooks {
  /** Whether to talk to a peer at all. */
  isRefused(peer: string): boolean
  /** Zero or less: what this node has against a peer beyond its gossip. */
  scoreOf(peer: string): number
}

/**
 * Milliseconds that one attempt to connect may take, and one address of it. A dozen handshakes at once on a busy machine
 * take seconds: giving up early makes them all begin anew.
 */
export const dialTimeoutMs = 20_000
const addressTimeoutMs = 12_000
const identifyTimeoutMs = 15_000
const pingTimeoutMs = 30_000

/** How we run libp2p. */
export async function hostConfig(options: Libp2pHostOptions, hooks: HostHooks): Promise<Libp2pOptions<HostServices>> {
  const { listen, announce = [], limits, allowSameIp, networkHash, version, transports } = options
  const scoreOf = (peer: string): number => hooks.scoreOf(peer)
  const reach = await reachability(options)
  const deny = (peer: { toString(): string }): boolean => hooks.isRefused(peer.toString())
  return {
    start: false,
    privateKey: libp2pKeyOf(options.privateKey),
    nodeInfo: { name: 'aonet', version, userAgent: `aonet/${version}` },
    addresses: { listen: [...listen, ...reach.listen], announce: [...announce] },
    transports: [...(transports ?? [tcp()]), reach.transport],
    ...(await protector(options)),
    connectionEncrypters: [noise()],
    // A connection carries gossip, identify, ping and records: 64 streams are plenty.
    streamMuxers: [yamux({ maxInboundStreams: 64, maxOutboundStreams: 64 })],
    connectionManager: {
      maxConnections: limits.maxConnections,
      inboundConnectionThreshold: allowSameIp ? limits.maxConnections : limits.maxInboundPerSecond,
      maxIncomingPendingConnections: 32,
      maxParallelDials: 16,
      dialTimeout: dialTimeoutMs,
      addressDialTimeout: addressTimeoutMs,
      inboundUpgradeTimeout: addressTimeoutMs,
    },
    // A late ping mostly means a busy machine: the default of 5 s cut healthy links under load. A process that
    // dies is seen at once by its closed socket.
    connectionMonitor: { pingTimeout: { minTimeout: pingTimeoutMs, maxTimeout: 2 * pingTimeoutMs } },
    // A dial by address learns whom it has reached only after the handshake.
    connectionGater: {
      denyDialPeer: deny,
      denyInboundEncryptedConnection: deny,
      denyOutboundEncryptedConnection: deny,
      denyInboundRelayReservation: deny,
      denyOutboundRelayedConnection: deny,
    },
    peerDiscovery: await discovery(options),
    services: {
      ...reach.services,
      // More than one at once, or a second question would end the first.
      identify: identify({ timeout: identifyTimeoutMs, maxInboundStreams: 4, maxOutboundStreams: 4 }),
      ping: ping(),
      // The class behind the factory has what GossipRouter adds; only its exported interface lacks it.
      pubsub: components =>
        tellUnsigned(
          gossipsub(gossipOptions(networkHash, { allowSameIp, scoreOf }))(components) as GossipRouter,
          peer => hooks.blame(peer, 'gossip-unsigned'),
        ),
      ...(options.dht === false
        ? {}
        : { dht: dhtService({ networkHash, clock: systemClock, privateAddresses: allowSameIp }, hooks) }),
    },
  }
}

// Loaded where they are used.
async function protector({
  preSharedKey: psk,
}: Libp2pHostOptions): Promise<Pick<Libp2pOptions, 'connectionProtector'>> {
  if (psk === undefined) return {}
  const { preSharedKey } = await import('@libp2p/pnet')
  return { connectionProtector: preSharedKey({ psk }) }
}

async function discovery({
  mdns: wanted,
  networkHash,
}: Libp2pHostOptions): Promise<NonNullable<Libp2pOptions['peerDiscovery']>> {
  if (!wanted) return []
  const { mdns } = await import('@libp2p/mdns')
  return [mdns({ serviceTag: mdnsServiceTag(networkHash) })]
}

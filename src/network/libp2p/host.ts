import '../../lib/polyfill.ts'
import type { IdentifyResult, Libp2p, PeerInfo, Stream } from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { type AbortOptions, throwIfAborted, withDeadline } from '../../lib/abort.ts'
import { systemClock } from '../../lib/clock.ts'
import type { Component } from '../../lib/component.ts'
import { AoError } from '../../lib/errors.ts'
import type { Counter, Telemetry } from '../../lib/telemetry.ts'
import { listenError, parseMultiaddr } from './addresses.ts'
import { BootstrapDialer } from './bootstrap.ts'
import type { GossipRouter } from './gossip-options.ts'
import { dialTimeoutMs, type HostServices, hostConfig, type Libp2pHostOptions } from './host-config.ts'
import { recordsProtocol } from './names.ts'
import { peerIdOf } from './peer-key.ts'
import { offenceCounter, PeerLedger } from './peer-ledger.ts'
import { sendNoRecords } from './record-exchange.ts'
import { Refusals } from './refusals.ts'

export { defaultHostLimits, type HostLimits, type Libp2pHostOptions } from './host-config.ts'

export interface PeerListener {
  /** Connected, identified and of our network. May be told twice of one peer. */
  joined?(peer: string): void
  /** Its last connection is gone. */
  left?(peer: string): void
  /** What this node's own addresses are has changed. */
  moved?(): void
}

interface StreamHandler {
  readonly serve: (stream: Stream) => void
  readonly options: { readonly maxInboundStreams: number }
}

/** A refused peer keeps its connection this long, in milliseconds, so that it can learn why from our protocols. */
const farewellMs = 500
/** With so many neighbours, peers that are merely heard of are not dialed; and so many dials of them at once. */
const enoughPeers = 8
const maxDiscoveryDials = 4
/** How often lost bootstrap peers are looked for, in milliseconds. */
const tickMs = 250
/** How often connections are looked at, in milliseconds. */
const lookMs = 5_000
/** A connection older than this whose peer did not say who it is gets asked again, in milliseconds. */
const identifyMs = 5_000

/**
 * The libp2p node: one key, TCP with noise and yamux, gossipsub, and a lasting connection to the bootstrap peers.
 *
 * Invariant: `peers` and `joined` speak only of peers that share our network parameters.
 */
export class Libp2pHost implements Component {
  readonly name = 'libp2p-host'
  readonly peerId: string
  readonly networkHash: string
  /** What this node has against its peers. Whom it bans is hung up on and not talked to until the ban ends. */
  readonly ledger: PeerLedger
  readonly #deps: Telemetry
  readonly #options: Libp2pHostOptions
  readonly #listeners = new Set<PeerListener>()
  readonly #peers = new Set<string>()
  /** Round trips, looked up once in a while: ranking units asks for them more often than they change. */
  #latencies: ReadonlyMap<string, number> = new Map()
  readonly #refused = new Refusals(systemClock)
  readonly #bootstrap: BootstrapDialer
  readonly #otherNetwork: Counter
  readonly #handlers = new Map<string, StreamHandler>()
  #serve: (stream: Stream) => Promise<void> = sendNoRecords
  #libp2p: Libp2p<HostServices> | undefined
  #addresses = ''
  #dialing = 0
  #tickers: readonly NodeJS.Timeout[] = []
  readonly #farewells = new Set<NodeJS.Timeout>()

  /** @throws AoError `INVALID_ARGUMENT` for a key that is not Ed25519, `INVALID_CONFIG` for a bad multiaddr. */
  constructor(deps: Telemetry, options: Libp2pHostOptions) {
    this.#deps = deps
    this.#options = options
    this.peerId = peerIdOf(options.privateKey)
    this.networkHash = options.networkHash
    for (const address of [...options.listen, ...(options.announce ?? [])]) parseMultiaddr(address)
    const others = options.bootstrap.map(parseMultiaddr).filter(address => !address.toString().endsWith(this.peerId))
    const { log } = deps
    const isConnected = (peer: string): boolean => this.#peers.has(peer)
    const dial = (address: Multiaddr): Promise<string> => this.#dial([address])
    this.#bootstrap = new BootstrapDialer({ log, clock: systemClock, dial, isConnected }, others)
    this.#otherNetwork = deps.metrics.counter(
      'aonet_network_other_network_peers_total',
      'Peers of other networks refused',
    )
    this.ledger = new PeerLedger(systemClock, () => this.#peers.size, {
      count: offenceCounter(deps.metrics, 'peer'),
    })
    const banned = deps.metrics.counter('aonet_network_peers_banned_total', 'Peers banned, by reason', ['reason'])
    this.ledger.onBan((peer, reason) => {
      banned.add(1, { reason })
      deps.log.warn('peer-banned', { peer, reason })
      void this.hangUp(peer)
    })
    deps.metrics.gauge('aonet_network_peers', 'Connected peers of our network', () => this.#peers.size)
  }

  /** Dialable multiaddrs that end in `/p2p/<peer id>`; empty before start. */
  get multiaddrs(): readonly string[] {
    return this.#libp2p?.getMultiaddrs().map(address => address.toString()) ?? []
  }

  /** Connected peers of our network. */
  get peers(): ReadonlySet<string> {
    return this.#peers
  }

  /** Peers refused lately because their network parameters differ from ours. */
  get otherNetworkPeers(): readonly string[] {
    return this.#refused.list()
  }

  /** Whether nothing is taken from a peer, by any protocol: of another network, banned, or on the operator's list. */
  isRefused(peer: string): boolean {
    const { deny = [], allow = [] } = this.#options
    if (deny.includes(peer) || (allow.length > 0 && !allow.includes(peer))) return true
    return this.#refused.has(peer) || this.ledger.isBanned(peer)
  }

  /** @throws AoError `NOT_READY` before start and after stop. */
  get pubsub(): GossipRouter {
    return this.#running().services.pubsub
  }

  /** Undefined where the node takes no part. */
  get dht(): KadDHT | undefined {
    return this.#libp2p?.services.dht
  }

  /** Round trip to a connected peer in milliseconds, as last measured. */
  latencyOf(peer: string): number | undefined {
    return this.#latencies.get(peer)
  }

  /** Tells of peers that come and go. Returns how to stop listening. */
  onPeer(listener: PeerListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** What to do with a stream by which a peer asks for unit records. Without it the answer is none. */
  serveRecords(serve: (stream: Stream) => Promise<void> = sendNoRecords): void {
    this.#serve = serve
  }

  /** Opens a stream by which to ask a connected peer for its unit records. */
  async askRecords(peer: string, { signal }: AbortOptions = {}): Promise<Stream> {
    const protocol = recordsProtocol(this.networkHash)
    return this.#running().dialProtocol(peerIdFromString(peer), protocol, signal === undefined ? {} : { signal })
  }

  /** Serves a protocol of streams, from the next start on. Streams of peers that are refused never come here. */
  handle(protocol: string, serve: (stream: Stream) => void, options: { readonly maxInboundStreams: number }): void {
    this.#handlers.set(protocol, { serve, options })
  }

  /** Opens a stream to a peer, over the connection there is or a new one. @throws AoError `PEER_UNREACHABLE` */
  async openStream(
    peer: string,
    addresses: readonly string[],
    protocol: string,
    { signal }: AbortOptions = {},
  ): Promise<Stream> {
    const options = { ...(signal === undefined ? {} : { signal }), runOnLimitedConnection: true }
    try {
      const libp2p = this.#running()
      const id = peerIdFromString(peer)
      const connected = libp2p.getConnections(id).length > 0
      return await libp2p.dialProtocol(connected ? id : addresses.map(parseMultiaddr), protocol, options)
    } catch (cause) {
      throw new AoError('PEER_UNREACHABLE', 'no stream to the peer', { peer, protocol }, { cause })
    }
  }

  /** @param addresses That end in `/p2p/<peer>`. @throws AoError `PEER_UNREACHABLE` */
  async dial(peer: string, addresses: readonly string[], options: AbortOptions = {}): Promise<void> {
    try {
      await this.#dial(addresses.map(parseMultiaddr), options)
    } catch (cause) {
      throw new AoError('PEER_UNREACHABLE', 'the peer cannot be reached', { peer }, { cause })
    }
  }

  /** Closes every connection to a peer. */
  async hangUp(peer: string): Promise<void> {
    await this.#libp2p
      ?.hangUp(peerIdFromString(peer), { signal: AbortSignal.timeout(farewellMs) })
      .catch(() => undefined)
  }

  /** @throws AoError `PORT_IN_USE`, or `INVALID_CONFIG` if it cannot listen for another reason. */
  async start({ signal }: AbortOptions = {}): Promise<void> {
    if (this.#libp2p !== undefined) return
    throwIfAborted(signal)
    const libp2p = await createLibp2p(
      await hostConfig(this.#options, {
        isRefused: peer => this.isRefused(peer),
        scoreOf: peer => this.ledger.scoreOf(peer),
        blame: (peer, reason) => this.ledger.blame(peer, reason),
      }),
    )
    libp2p.addEventListener('peer:identify', event => {
      // The news can be late: a connection that is gone would never be told to have left.
      if (libp2p.getConnections(event.detail.peerId).length > 0) this.#identified(event.detail)
    })
    libp2p.addEventListener('peer:disconnect', event => this.#left(event.detail.toString()))
    libp2p.addEventListener('self:peer:update', () => this.#lookAtAddresses(libp2p))
    libp2p.addEventListener('peer:discovery', event => this.#discovered(event.detail))
    // Before listening, so that the first peer already sees which network this is.
    const serve = (stream: Stream): Promise<void> =>
      this.#serve(stream).catch((error: unknown) =>
        this.#deps.log.debug('records-not-served', { reason: String(error) }),
      )
    await libp2p.handle(recordsProtocol(this.networkHash), serve, { maxInboundStreams: 2 })
    for (const [protocol, { serve, options }] of this.#handlers) await libp2p.handle(protocol, serve, options)
    try {
      await libp2p.start()
    } catch (error) {
      await libp2p.stop()
      throw listenError(error, this.#options.listen)
    }
    this.#libp2p = libp2p
    this.#bootstrap.tick()
    this.#tickers = [
      setInterval(() => this.#bootstrap.tick(), tickMs),
      setInterval(() => this.#lookAtConnections(libp2p), lookMs),
    ]
    this.#deps.log.info('libp2p-listening', { peer: this.peerId, multiaddrs: this.multiaddrs })
  }

  async stop(): Promise<void> {
    const libp2p = this.#libp2p
    this.#libp2p = undefined
    for (const ticker of this.#tickers) clearInterval(ticker)
    for (const timer of this.#farewells) clearTimeout(timer)
    this.#farewells.clear()
    await libp2p?.stop()
    await this.#bootstrap.settled()
    for (const peer of [...this.#peers]) this.#left(peer)
  }

  async #dial(addresses: Multiaddr[], { signal }: AbortOptions = {}): Promise<string> {
    const connection = await this.#running().dial(addresses, { signal: withDeadline(dialTimeoutMs, { signal }) })
    return connection.remotePeer.toString()
  }

  #identified({ peerId, protocols }: IdentifyResult): void {
    const peer = peerId.toString()
    if (!protocols.includes(recordsProtocol(this.networkHash))) {
      this.#refuse(peer)
      return
    }
    this.#peers.add(peer)
    this.#bootstrap.joined(peer)
    for (const listener of this.#listeners) listener.joined?.(peer)
  }

  #lookAtAddresses(libp2p: Libp2p<HostServices>): void {
    const now = libp2p.getMultiaddrs().join(' ')
    if (now === this.#addresses) return
    this.#addresses = now
    for (const listener of this.#listeners) listener.moved?.()
  }

  #lookAtConnections(libp2p: Libp2p<HostServices>): void {
    const measured = libp2p
      .getConnections()
      .flatMap(({ remotePeer, rtt }) => (rtt === undefined ? [] : [[remotePeer.toString(), rtt] as const]))
    this.#latencies = new Map(measured)
    this.#identifyAgain(libp2p)
  }

  // libp2p asks once when a connection opens. On a busy machine that can fail, and then the peer would stay unseen.
  #identifyAgain(libp2p: Libp2p<HostServices>): void {
    const late = Date.now() - identifyMs
    for (const connection of libp2p.getConnections()) {
      const peer = connection.remotePeer.toString()
      if (this.#peers.has(peer) || this.#refused.has(peer) || connection.timeline.open > late) continue
      this.#deps.log.debug('peer-identify-again', { peer })
      const signal = AbortSignal.timeout(identifyMs - 500) // before the next look
      libp2p.services.identify
        .identify(connection, { signal })
        .catch((error: unknown) => this.#deps.log.debug('peer-not-identified', { peer, reason: String(error) }))
    }
  }

  #refuse(peer: string): void {
    if (this.#refused.has(peer)) return
    this.#refused.add(peer)
    this.#otherNetwork.add()
    this.#deps.log.warn('peer-refused', { peer, reason: 'WRONG_NETWORK' })
    const timer = setTimeout(() => {
      this.#farewells.delete(timer)
      void this.hangUp(peer)
    }, farewellMs)
    this.#farewells.add(timer)
  }

  #left(peer: string): void {
    if (!this.#peers.delete(peer)) return
    this.#deps.log.debug('peer-left', { peer })
    for (const listener of this.#listeners) listener.left?.(peer)
  }

  #discovered({ id, multiaddrs }: PeerInfo): void {
    // The DHT tells of every peer it hears of: enough neighbours are enough. mDNS then has nothing to add either.
    if (multiaddrs.length === 0 || this.#peers.has(id.toString()) || this.#peers.size >= enoughPeers) return
    if (this.#dialing >= maxDiscoveryDials) return
    this.#dialing += 1
    this.#dial(multiaddrs)
      .catch((error: unknown) =>
        this.#deps.log.debug('discovered-peer-unreachable', { peer: id.toString(), reason: String(error) }),
      )
      .finally(() => {
        this.#dialing -= 1
      })
  }

  #running(): Libp2p<HostServices> {
    if (this.#libp2p === undefined) throw new AoError('NOT_READY', 'the peer-to-peer host is not running')
    return this.#libp2p
  }
}

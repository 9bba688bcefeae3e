import { Client, InterceptingCall, type Interceptor } from '@grpc/grpc-js'
import { LRUCache } from 'lru-cache'
import { asBuffer, sha256, toBase64Url, utf8 } from '../../lib/bytes.ts'
import { systemClock } from '../../lib/clock.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import { bearer } from '../../lib/member-token.ts'
import type { UnitRecord } from '../../protocol/unit-record.ts'
import { type Certificate, certificateName } from './certificate.ts'
import { parseEndpoint, toTarget } from './endpoint.ts'
import { pinnedCredentials } from './pinned-credentials.ts'
import type { Tunnel, TunnelPeer } from './tunnel.ts'

/** Whom to call: a unit record has all of it. */
export interface Peer extends Pick<UnitRecord, 'address' | 'grpc' | 'certificate' | 'tunnelled'>, Partial<TunnelPeer> {
  /** It passes calls on: what comes back is signed by a unit behind it, which the caller has to judge. */
  readonly forwards?: boolean
  /** False if its endpoint could not be dialled, and it is called over a stream for that. */
  readonly dialled?: false
}

export interface PoolOptions {
  readonly maxChannels: number
  /** Calls open at once on one channel. */
  readonly maxCallsPerChannel: number
  /** After this long without a call a channel is closed. */
  readonly idleMs: number
  readonly maxMessageBytes: number
  /** Shown to whoever is called, so that it knows this node's unit. */
  readonly identity?: Certificate | undefined
  /** Of a private network: shown with each call. */
  readonly memberToken?: string | undefined
  /** How units are reached whose endpoint cannot be dialled. */
  readonly tunnel?: Tunnel | undefined
  /** How long an endpoint has to answer a dial before the unit is tried over a stream. Default 3 s. */
  readonly dialMs?: number | undefined
  /** Told of each unit that is called over a stream since its endpoint cannot be dialled. */
  readonly onFallback?: (() => void) | undefined
}

/** A call on a channel: the pool can end it, and is told when it has ended. */
export interface Lease {
  readonly client: Client
  /** Its channel never stood: nothing of the call has left this node. */
  readonly neverStood: boolean
  /** Called when the pool closes, or the dial takes too long, to end the call for that reason. */
  onClose: (reason: AoError) => void
  /** To be called once, when the call has ended. */
  release(): void
}

/**
 * One TLS channel per peer as its record has it: who moves or changes its certificate gets a new one. A unit whose
 * endpoint cannot be dialled is called over a peer-to-peer stream, and so again for five minutes once that has worked.
 *
 * Invariant: at most `maxChannels`. A further one takes the place of the longest unused; if all are in use, `OVERLOADED`.
 */
export class ChannelPool {
  readonly #options: PoolOptions
  /** Least recently used first. */
  readonly #channels = new Map<string, Channel>()
  /** Units that a stream led to when a dial did not, by the key of the dialled channel. */
  readonly #byStream = new LRUCache<string, true>({ max: maxByStream, ttl: byStreamMs })
  #closed = false

  constructor(options: PoolOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#channels.size
  }

  /** @throws AoError `STOPPING` | `OVERLOADED` | `INVALID_RECORD` | `INVALID_ARGUMENT` */
  lease(wanted: Peer): Lease {
    if (this.#closed) throw closing()
    const peer = this.#byStream.has(peerKey(wanted)) ? overStream(wanted) : wanted
    const key = peerKey(peer)
    const channel = this.#channels.get(key) ?? this.#open(peer)
    if (channel.leases.size >= this.#options.maxCallsPerChannel)
      throw overloaded('calls to this unit', channel.leases.size)
    this.#channels.delete(key)
    this.#channels.set(key, channel)
    clearTimeout(channel.idleTimer)
    const lease: Lease = {
      client: channel.client,
      get neverStood() {
        return !channel.stood
      },
      onClose: () => undefined,
      release: () => {
        if (!channel.leases.delete(lease)) return
        channel.ended?.()
        if (channel.leases.size === 0) this.#closeWhenIdle(key, channel)
      },
    }
    channel.leases.add(lease)
    return lease
  }

  /**
   * Calls, and once more over a peer-to-peer stream where the endpoint could not even be dialled.
   *
   * @throws the failure of the dial if the stream does not lead there either.
   */
  async eitherWay<T>(peer: Peer, call: (peer: Peer, onLease: (lease: Lease) => void) => Promise<T>): Promise<T> {
    let lease: Lease | undefined
    const keep = (one: Lease): void => {
      lease = one
    }
    try {
      return await call(peer, keep)
    } catch (error) {
      const other = this.otherWay(peer, lease, error)
      if (other === undefined) throw error
      return await call(other, keep).catch((second: unknown) => {
        throw isUnreachable(second) ? error : second
      })
    }
  }

  /** How else to call a unit after that failure of a call to it: only where nothing of the call has left this node. */
  otherWay(peer: Peer, lease: Lease | undefined, failure: unknown): Peer | undefined {
    const mayTry = lease?.neverStood === true && this.#leadsOverStream(peer) && isUnreachable(failure)
    if (!mayTry) return undefined
    const other = overStream(peer)
    if (this.#channels.get(peerKey(other))?.stood === true) this.#remember(other)
    return other
  }

  #remember(peer: Peer): void {
    this.#byStream.set(peerKey({ ...peer, tunnelled: false }), true)
    this.#options.onFallback?.()
  }

  /** Ends all calls with `STOPPING` and closes all channels. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#channels].map(([key, channel]) => this.#shut(key, channel)))
  }

  #open(peer: Peer): Channel {
    const { maxChannels, maxMessageBytes, memberToken } = this.#options
    if (this.#channels.size >= maxChannels) this.#evict()
    const endpoint = toTarget(parseEndpoint(peer.grpc))
    const credentials = pinnedCredentials(peer.certificate, this.#options.identity)
    const tunnel = this.#tunnelTo(peer)
    const client = new Client(tunnel?.target ?? endpoint, credentials, {
      ...channelOptions,
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
      ...(memberToken === undefined ? {} : { interceptors: [showing(memberToken)] }),
    })
    const channel: Channel = { client, tunnel, leases: new Set(), stood: false, idleTimer: undefined, ended: undefined }
    this.#watch(channel, peer)
    return channel
  }

  /** Whether the channel ever stands; a dial that takes too long is given up where there is another way. */
  #watch(channel: Channel, peer: Peer): void {
    const { dialMs = 3_000 } = this.#options
    const hasOther = this.#leadsOverStream(peer)
    channel.client.waitForReady(hasOther ? systemClock.now() + dialMs : Number.POSITIVE_INFINITY, error => {
      if (error === undefined) {
        channel.stood = true
        if (channel.tunnel !== undefined && peer.dialled === false) this.#remember(peer)
      } else if (hasOther) {
        const facts = { address: peer.address, endpoint: peer.grpc, dialMs }
        const reason = new AoError('PEER_UNREACHABLE', 'the endpoint does not answer', facts)
        for (const lease of [...channel.leases]) lease.onClose(reason)
      }
    })
  }

  #leadsOverStream({ tunnelled, peer, multiaddrs }: Peer): boolean {
    return tunnelled !== true && this.#options.tunnel !== undefined && peer !== undefined && !!multiaddrs?.length
  }

  #tunnelTo({ tunnelled, peer, multiaddrs }: Peer): Channel['tunnel'] {
    if (tunnelled !== true || peer === undefined || multiaddrs === undefined) return undefined
    return this.#options.tunnel?.open({ peer, multiaddrs })
  }

  #evict(): void {
    for (const [key, channel] of this.#channels) {
      if (channel.leases.size > 0) continue
      this.#drop(key, channel)
      return
    }
    throw overloaded('units called', this.#channels.size)
  }

  #closeWhenIdle(key: string, channel: Channel): void {
    channel.idleTimer = setTimeout(() => this.#drop(key, channel), this.#options.idleMs)
    channel.idleTimer.unref()
  }

  #drop(key: string, channel: Channel): void {
    clearTimeout(channel.idleTimer)
    channel.client.close()
    channel.tunnel?.close()
    this.#channels.delete(key)
  }

  async #shut(key: string, channel: Channel): Promise<void> {
    for (const lease of channel.leases) lease.onClose(closing())
    while (channel.leases.size > 0) await new Promise<void>(resolve => (channel.ended = resolve))
    this.#drop(key, channel)
  }
}

const showing =
  (memberToken: string): Interceptor =>
  (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start: (metadata, listener, next) => {
        metadata.set('authorization', bearer(memberToken))
        next(metadata, listener)
      },
    })

/** Units remembered, and milliseconds for which one that a stream led to is not dialled again. */
const maxByStream = 1024
const byStreamMs = 5 * 60_000

const overStream = (peer: Peer): Peer => ({ ...peer, tunnelled: true, dialled: false })
const isUnreachable = (error: unknown): boolean => hasCode(error, 'PEER_UNREACHABLE')

interface Channel {
  readonly client: Client
  readonly tunnel: { readonly target: string; close(): void } | undefined
  readonly leases: Set<Lease>
  stood: boolean
  idleTimer: NodeJS.Timeout | undefined
  /** Told of each ended call while the pool closes. */
  ended: (() => void) | undefined
}

const channelOptions = {
  'grpc.ssl_target_name_override': certificateName,
  'grpc.default_authority': certificateName,
  // A channel of ours is a connection of ours: closing it must close the socket.
  'grpc.use_local_subchannel_pool': 1,
  // No HTTP proxy and no settings from DNS: the record says where the unit is, and nothing else does.
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  // It counts each call and message for a service that we do not offer.
  'grpc.enable_channelz': 0,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  // grpc-js would wait up to two minutes; a restarted node should be found again within seconds.
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 5_000,
} as const

/** Equal for equal peers: same unit, same place, same certificate. A record is asked for its key with each call. */
export function peerKey(peer: Peer): string {
  const known = keys.get(peer)
  if (known !== undefined) return known
  const { address, grpc, certificate, tunnelled, peer: id, multiaddrs } = peer
  const by = tunnelled === true ? `${id} ${multiaddrs?.join(' ')}` : grpc
  const key = toBase64Url(sha256(utf8(`${address}|${by}|`), asBuffer(certificate)))
  keys.set(peer, key)
  return key
}

const keys = new WeakMap<Peer, string>()

const closing = (): AoError => new AoError('STOPPING', 'connections to other nodes are being closed')
const overloaded = (what: string, open: number): AoError =>
  new AoError('OVERLOADED', `too many ${what} at once`, { open }, { hint: 'Try again in a moment.' })

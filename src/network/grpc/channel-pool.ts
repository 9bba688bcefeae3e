import { Client } from '@grpc/grpc-js'
import { asBuffer, sha256, toBase64Url, utf8 } from '../../lib/bytes.ts'
import { AoError } from '../../lib/errors.ts'
import type { UnitRecord } from '../../protocol/unit-record.ts'
import { type Certificate, certificateName } from './certificate.ts'
import { parseEndpoint, toTarget } from './endpoint.ts'
import { pinnedCredentials } from './pinned-credentials.ts'
import type { Tunnel, TunnelPeer } from './tunnel.ts'

/** Whom to call: a unit record has all of it. */
export interface Peer extends Pick<UnitRecord, 'address' | 'grpc' | 'certificate' | 'tunnelled'>, Partial<TunnelPeer> {
  /** It passes calls on: what comes back is signed by a unit behind it, which the caller has to judge. */
  readonly forwards?: boolean
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
  /** How units are reached whose endpoint cannot be dialled. */
  readonly tunnel?: Tunnel | undefined
}

/** A call on a channel: the pool can end it, and is told when it has ended. */
export interface Lease {
  readonly client: Client
  /** Called when the pool closes, to end the call for that reason. */
  onClose: (reason: AoError) => void
  /** To be called once, when the call has ended. */
  release(): void
}

/**
 * One TLS channel per peer as its record has it: who moves or changes its certificate gets a new one.
 *
 * Invariant: at most `maxChannels`. A further one takes the place of the longest unused; if all are in use, `OVERLOADED`.
 */
export class ChannelPool {
  readonly #options: PoolOptions
  /** Least recently used first. */
  readonly #channels = new Map<string, Channel>()
  #closed = false

  constructor(options: PoolOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#channels.size
  }

  /** @throws AoError `STOPPING` | `OVERLOADED` | `INVALID_RECORD` | `INVALID_ARGUMENT` */
  lease(peer: Peer): Lease {
    if (this.#closed) throw closing()
    const key = peerKey(peer)
    const channel = this.#channels.get(key) ?? this.#open(peer)
    if (channel.leases.size >= this.#options.maxCallsPerChannel)
      throw overloaded('calls to this unit', channel.leases.size)
    this.#channels.delete(key)
    this.#channels.set(key, channel)
    clearTimeout(channel.idleTimer)
    const lease: Lease = {
      client: channel.client,
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

  /** Ends all calls with `STOPPING` and closes all channels. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#channels].map(([key, channel]) => this.#shut(key, channel)))
  }

  #open(peer: Peer): Channel {
    const { maxChannels, maxMessageBytes } = this.#options
    if (this.#channels.size >= maxChannels) this.#evict()
    const endpoint = toTarget(parseEndpoint(peer.grpc))
    const credentials = pinnedCredentials(peer.certificate, this.#options.identity)
    const tunnel = this.#tunnelTo(peer)
    const client = new Client(tunnel?.target ?? endpoint, credentials, {
      ...channelOptions,
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
    })
    return { client, tunnel, leases: new Set(), idleTimer: undefined, ended: undefined }
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

interface Channel {
  readonly client: Client
  readonly tunnel: { readonly target: string; close(): void } | undefined
  readonly leases: Set<Lease>
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
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  // grpc-js would wait up to two minutes; a restarted node should be found again within seconds.
  'grpc.initial_reconnect_backoff_ms': 200,
  'grpc.max_reconnect_backoff_ms': 5_000,
} as const

/** Equal for equal peers: same unit, same place, same certificate. */
export const peerKey = ({ address, grpc, certificate, ...at }: Peer): string => {
  const by = at.tunnelled === true ? `${at.peer} ${at.multiaddrs?.join(' ')}` : grpc
  return toBase64Url(sha256(utf8(`${address}|${by}|`), asBuffer(certificate)))
}

const closing = (): AoError => new AoError('STOPPING', 'connections to other nodes are being closed')
const overloaded = (what: string, open: number): AoError =>
  new AoError('OVERLOADED', `too many ${what} at once`, { open }, { hint: 'Try again in a moment.' })

import '../../lib/polyfill.ts'
import { type KadDHT, type KadDHTComponents, kadDHT } from '@libp2p/kad-dht'
import { asBuffer, utf8 } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { AoError } from '../../lib/errors.ts'
import { RateLimiter } from '../../lib/rate-limiter.ts'
import { parseStoredItem } from '../../protocol/data-item.ts'
import { type Address, parseAddress } from '../../protocol/ids.ts'
import { parseUnitRecord } from '../../protocol/unit-record.ts'
import { DhtStore } from './dht-store.ts'
import { dhtProtocol } from './names.ts'
import type { Offence } from './peer-ledger.ts'
import { maxRecordBytes, verifyRecord } from './record-rules.ts'
import { verdictOf } from './verdict.ts'

/** Our namespace in the DHT. */
const namespace = 'aonet'
/** Records kept for others: at some 1.5 KiB each, 6 MiB. */
const maxRecords = 4096
/** Questions of one peer a second, and at once: a lookup asks a peer a few times, a storm of restarts some dozen. */
const rpcLimit = { perSecond: 50, burst: 200, maxKeys: 1024 }
const maxStreams = 16
/**
 * Peers asked at once on each path of a lookup, and paths that share no peer: liars on one do not hide what is on
 * another. The defaults, ten each, put a hundred dials beside each other.
 */
const alpha = 3
const disjointPaths = 3
/** Peers heard of that are tried, by a dial and a question, at once. */
const tries = 2
/** Milliseconds from the start to the first look for close peers: not amid the first handshakes. */
const firstLookMs = 3_000

/** Where the record of a unit lies in the DHT. */
export const dhtKey = (address: Address): Uint8Array => utf8(`/${namespace}/${address}`)

export interface DhtHooks {
  blame(peer: string, reason: Offence): void
}

export interface DhtOptions {
  readonly networkHash: string
  readonly clock: Clock
  /** Peers with private addresses count: needed on loopback, in a local net and behind NAT. */
  readonly privateAddresses: boolean
}

/** kad-dht for unit records and nothing else: no providers, no foreign namespaces, bounded room and questions. */
export const dhtService =
  (options: DhtOptions, hooks: DhtHooks) =>
  (components: KadDHTComponents): KadDHT => {
    const store = new DhtStore(maxRecords)
    // libp2p's components are a proxy that refuses to be copied: this one differs in its store alone.
    const ours = new Proxy(components, {
      get: (target, name) => (name === 'datastore' ? store : Reflect.get(target, name)),
    })
    const dht = kadDHT({
      protocol: dhtProtocol(options.networkHash),
      clientMode: false,
      alpha,
      disjointPaths,
      initialQuerySelfInterval: firstLookMs,
      routingTableUpdateQueueConcurrency: tries,
      maxInboundStreams: maxStreams,
      maxOutboundStreams: 2 * maxStreams,
      validators: { [namespace]: validator(options) },
      selectors: { [namespace]: newest },
      ...(options.privateAddresses ? { peerInfoMapper: peer => peer } : {}),
    })(ours)
    guardRpc(dht, options.clock, hooks)
    return dht
  }

const validator =
  ({ networkHash, clock }: DhtOptions) =>
  async (key: Uint8Array, value: Uint8Array): Promise<void> => {
    if (value.length > maxRecordBytes) throw new AoError('TOO_LARGE', 'too large for a unit record')
    const record = await verifyRecord(value, networkHash)
    if (record.address !== addressOf(key)) throw new AoError('INVALID_RECORD', 'the record of another unit')
    if (record.expiresAt <= clock.now()) throw new AoError('NOT_ALLOWED', 'the record has expired')
  }

const addressOf = (key: Uint8Array): Address =>
  parseAddress(
    asBuffer(key)
      .toString()
      .slice(namespace.length + 2),
  )

/** Of records that passed the validator, the place of the one signed last. */
function newest(_key: Uint8Array, records: readonly Uint8Array[]): number {
  const times = records.map(record => parseUnitRecord(parseStoredItem(record)).issuedAt)
  return times.indexOf(Math.max(...times))
}

/** What kad-dht has at run time and its exported interface lacks. */
interface WithRpc {
  rpc: { handleMessage(peer: Peer, message: Message): Promise<unknown> }
}
type Peer = { toString(): string }
type Message = { readonly type: string }

const allowed: ReadonlySet<string> = new Set(['PUT_VALUE', 'GET_VALUE', 'FIND_NODE', 'PING'])

/** kad-dht answers whoever asks, however often: here each peer has its share. */
function guardRpc(dht: KadDHT, clock: Clock, hooks: DhtHooks): void {
  const { rpc } = dht as unknown as WithRpc
  const limiter = new RateLimiter(clock, rpcLimit)
  const handle = rpc.handleMessage.bind(rpc)
  rpc.handleMessage = async (peer, message) => {
    const from = peer.toString()
    if (!allowed.has(message.type)) {
      hooks.blame(from, 'dht-misuse')
      throw new AoError('UNSUPPORTED', 'not asked here', { type: message.type })
    }
    if (!limiter.take(from)) {
      hooks.blame(from, 'dht-rate')
      throw new AoError('OVERLOADED', 'too many questions to the DHT', { limit: rpcLimit.perSecond })
    }
    try {
      return await handle(peer, message)
    } catch (error) {
      // What expired on its way or is known better is nobody's fault.
      if (verdictOf(error) === 'reject') hooks.blame(from, 'record-invalid')
      throw error
    }
  }
}

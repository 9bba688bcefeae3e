import { connect as tlsConnect } from 'node:tls'
import type { AbortOptions } from '../../lib/abort.ts'
import { copyOf, equalBytes } from '../../lib/bytes.ts'
import { AoError } from '../../lib/errors.ts'
import type { Json } from '../../lib/json.ts'
import type { Trace } from '../../ports/trace.ts'
import type { Compute, Messenger, Scheduler } from '../../ports/units.ts'
import type { Address, MessageId, Nonce, ProcessId } from '../../protocol/ids.ts'
import { parseUnitRecord, type UnitRecord } from '../../protocol/unit-record.ts'
import { certificateName } from './certificate.ts'
import { ChannelPool, type Peer } from './channel-pool.ts'
import { type Carrier, unaryCall } from './client-calls.ts'
import { defaultDeadlines, defaultPool } from './clients.ts'
import { atToWire, itemFromWire, jsonFromWire, readable } from './convert.ts'
import { type Endpoint, parseEndpoint } from './endpoint.ts'
import { unitExchanges } from './exchange-kinds.ts'
import { type GetInfoResponse, NodeService } from './generated/ao/v1/node.ts'
import { RemoteCompute } from './remote-compute.ts'
import { RemoteMessenger } from './remote-messenger.ts'
import { RemoteScheduler } from './remote-scheduler.ts'
import { unreachableHint } from './status.ts'
import { traceFromWire } from './trace-wire.ts'
import { WebCalls } from './web-calls.ts'

export interface ConnectOptions extends AbortOptions {
  /** Whose node it must be; also written as `<address>@host:port`. */
  readonly expectedAddress?: Address | undefined
  /** Of a private network, for callers that are no peers of it. */
  readonly memberToken?: string | undefined
  /** For the first answer. */
  readonly timeoutMs?: number | undefined
}

export interface NodeInfo {
  readonly version: string
  readonly network: string
  /** URL of the Arweave gateway the node settles to. */
  readonly arweave: string
  readonly status: { readonly [key: string]: Json }
}

/**
 * A node that has proved who it is. Its units are called at the endpoint that was given, whatever its record says. It
 * passes on what it does not do itself, so whose signature an answer carries is for the caller to judge.
 */
export interface NodeConnection {
  readonly record: UnitRecord
  readonly info: NodeInfo
  readonly units: { readonly scheduler: Scheduler; readonly compute: Compute; readonly messenger: Messenger }
  listUnits(options?: AbortOptions): Promise<readonly UnitRecord[]>
  /** As the node puts it together. Only what SUs and CUs say of it is signed, and the node has checked that. */
  trace(process: ProcessId, at: MessageId | Nonce, options?: AbortOptions): Promise<Trace>
  close(): Promise<void>
}

/**
 * Connects to a node known only by where it is: takes the certificate it shows, pins it, and has the node's signed unit
 * record vouch for it. Without an expected address that proves one identity, not which.
 *
 * @param endpoint `host:port` or `<address>@host:port` of its gRPC services, or the URL of its HTTP server. Over HTTP no
 * certificate vouches for the node: only what is signed in its answers counts.
 * @throws AoError `INVALID_ARGUMENT` | `PEER_UNREACHABLE` | `UNAUTHENTICATED` if it is not who it should be.
 */
export async function connectNode(endpoint: string, options: ConnectOptions = {}): Promise<NodeConnection> {
  if (/^https?:\/\//.test(endpoint)) return connectOverHttp(endpoint, options)
  const { timeoutMs = 5_000, signal } = options
  const at = parseEndpoint(endpoint)
  const certificate = await shownCertificate(at, { timeoutMs, signal })
  const grpc = at.host.includes(':') ? `[${at.host}]:${at.port}` : `${at.host}:${at.port}`
  const expected = options.expectedAddress ?? at.address
  const pool = new ChannelPool({ ...defaultPool, memberToken: options.memberToken })
  try {
    const stranger: Peer = { address: expected ?? ('' as Address), grpc, certificate }
    const call = { signal, deadlineMs: timeoutMs }
    const answer = await unaryCall(pool, stranger, NodeService.getInfo, {}, call)
    const record = await provenRecord(answer.record, certificate, expected)
    return connection(pool, { ...stranger, address: record.address }, record, infoOf(answer))
  } catch (error) {
    await pool.close()
    throw error
  }
}

async function connectOverHttp(url: string, options: ConnectOptions): Promise<NodeConnection> {
  const { timeoutMs = 5_000, signal, expectedAddress } = options
  const calls = new WebCalls(url, { ...defaultPool, memberToken: options.memberToken })
  const stranger: Peer = { address: expectedAddress ?? ('' as Address), grpc: url, certificate: new Uint8Array(0) }
  const answer = await unaryCall(calls, stranger, NodeService.getInfo, {}, { signal, deadlineMs: timeoutMs })
  const record = await expectedRecord(answer.record, expectedAddress)
  return connection(calls, { ...stranger, address: record.address }, record, infoOf(answer))
}

function connection(pool: Carrier, at: Peer, record: UnitRecord, info: NodeInfo): NodeConnection {
  const peer: Peer = { ...at, forwards: true }
  const carrier = { pool, streams: unitExchanges(pool) }
  return {
    record,
    info,
    units: {
      scheduler: new RemoteScheduler(carrier, peer, defaultDeadlines),
      compute: new RemoteCompute(carrier, peer, defaultDeadlines),
      messenger: new RemoteMessenger(carrier, peer, defaultDeadlines),
    },
    async listUnits({ signal } = {}) {
      const call = { signal, deadlineMs: defaultDeadlines.lookupMs }
      const { records } = await unaryCall(pool, peer, NodeService.listUnits, {}, call)
      return Promise.all(records.map(async bytes => parseUnitRecord(await itemFromWire(bytes))))
    },
    async trace(process, at, { signal } = {}) {
      const call = { signal, deadlineMs: traceMs }
      const answer = await unaryCall(pool, peer, NodeService.trace, { process, at: atToWire(at) }, call)
      return traceFromWire(answer.trace)
    },
    close: () => pool.close(),
  }
}

/** A long conversation is many questions to many units. */
const traceMs = 90_000

/** The certificate (DER) that whoever listens there shows. Not yet believed. */
function shownCertificate(
  { host, port }: Endpoint,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal | undefined },
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = tlsConnect({
      host,
      port,
      servername: certificateName,
      ALPNProtocols: ['h2'],
      rejectUnauthorized: false,
    })
    const fail = (reason: string, cause?: unknown): void => {
      const options = { cause, hint: unreachableHint }
      socket.destroy()
      reject(new AoError('PEER_UNREACHABLE', 'the node cannot be reached', { host, port, reason }, options))
    }
    const onAbort = (): void => {
      socket.destroy()
      reject(AoError.from(signal?.reason))
    }
    const limit = setTimeout(() => fail('no answer in time'), timeoutMs)
    signal?.addEventListener('abort', onAbort, { once: true })
    socket.once('close', () => {
      clearTimeout(limit)
      signal?.removeEventListener('abort', onAbort)
      fail('the connection was closed') // without effect once the certificate is there
    })
    socket.once('error', error => fail(error.message.slice(0, 200), error))
    socket.once('secureConnect', () => {
      const { raw } = socket.getPeerCertificate()
      if (raw !== undefined) resolve(copyOf(raw))
      socket.destroy()
    })
    if (signal?.aborted) onAbort()
  })
}

async function provenRecord(
  bytes: Uint8Array,
  certificate: Uint8Array,
  expected: Address | undefined,
): Promise<UnitRecord> {
  const record = await expectedRecord(bytes, expected)
  const facts = { address: record.address, expected }
  if (!equalBytes(record.certificate, certificate)) {
    throw new AoError('UNAUTHENTICATED', 'the node shows another certificate than its signed record', facts, {
      hint: 'Something stands between you and the node, or it answers with the record of another.',
    })
  }
  return record
}

async function expectedRecord(bytes: Uint8Array, expected: Address | undefined): Promise<UnitRecord> {
  const record = parseUnitRecord(await itemFromWire(bytes))
  if (expected === undefined || record.address === expected) return record
  const facts = { address: record.address, expected }
  const hint = 'Check the address, or leave it out to see who answers there.'
  throw new AoError('UNAUTHENTICATED', 'another node than the expected one answers there', facts, { hint })
}

const infoOf = ({ version, network, arweave, status }: GetInfoResponse): NodeInfo => ({
  version,
  network,
  arweave,
  status: readable('a status', () => jsonFromWire(status)) as NodeInfo['status'],
})

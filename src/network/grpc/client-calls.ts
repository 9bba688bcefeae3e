import { Metadata, type MethodDefinition, type ServiceError, status } from '@grpc/grpc-js'
import { throwIfAborted } from '../../lib/abort.ts'
import { systemClock } from '../../lib/clock.ts'
import { AoError } from '../../lib/errors.ts'
import type { ChannelPool, Lease, Peer } from './channel-pool.ts'
import { fromServiceError, unreachableHint } from './status.ts'
import { WebCalls } from './web-calls.ts'

/** What carries calls: pinned gRPC channels, or HTTP to one node. */
export type Carrier = ChannelPool | WebCalls

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
  readonly deadlineMs: number
}

/** One question, one answer. @throws AoError as the other side threw it, or `PEER_UNREACHABLE` | `DEADLINE` | `ABORTED`. */
export async function unaryCall<Req, Res>(
  pool: Carrier,
  peer: Peer,
  method: MethodDefinition<Req, Res>,
  request: Req,
  { signal, deadlineMs }: CallOptions,
): Promise<Res> {
  throwIfAborted(signal)
  if (pool instanceof WebCalls) return pool.unary(method, request, { signal, deadlineMs })
  return pool.eitherWay(peer, (to, onLease) => {
    const lease = pool.lease(to)
    onLease(lease)
    return calledOnce(lease, to, { method, request, signal, deadlineMs })
  })
}

interface Question<Req, Res> extends CallOptions {
  readonly method: MethodDefinition<Req, Res>
  readonly request: Req
}

function calledOnce<Req, Res>(
  lease: Lease,
  peer: Peer,
  { method, request, signal, deadlineMs }: Question<Req, Res>,
): Promise<Res> {
  return new Promise<Res>((resolve, reject) => {
    const { path, requestSerialize, responseDeserialize } = method
    const deadline = systemClock.now() + deadlineMs
    const onEnd = (error: ServiceError | null, value?: Res): void => {
      ending.clear()
      lease.release()
      if (error === null) resolve(value as Res)
      else reject(ending.reason ?? callFailure(error, peer))
    }
    const call = lease.client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      new Metadata(),
      { deadline },
      onEnd,
    )
    const ending = new Ending(() => call.cancel(), signal)
    lease.onClose = reason => ending.now(reason)
  })
}

export interface StreamOptions {
  readonly signal?: AbortSignal | undefined
  /** How long a row may take to come; without it, for ever. Time that the reader takes does not count. */
  readonly idleMs?: number | undefined
}

/** The rows of a server's stream, taken in only as fast as they are read. Leaving the loop cancels the call. */
export async function* streamCall<Req, Res>(
  pool: Carrier,
  peer: Peer,
  method: MethodDefinition<Req, Res>,
  request: Req,
  { signal, idleMs }: StreamOptions,
): AsyncGenerator<Res, void, undefined> {
  throwIfAborted(signal)
  if (pool instanceof WebCalls) return yield* pool.stream(method, request, { signal, idleMs })
  const lease = pool.lease(peer)
  let other: Peer | undefined
  try {
    return yield* rowsOf(lease, peer, { method, request, signal, idleMs })
  } catch (error) {
    other = pool.otherWay(peer, lease, error)
    if (other === undefined) throw error
  }
  yield* rowsOf(pool.lease(other), other, { method, request, signal, idleMs })
}

interface Reading<Req, Res> extends StreamOptions {
  readonly method: MethodDefinition<Req, Res>
  readonly request: Req
}

async function* rowsOf<Req, Res>(
  lease: Lease,
  peer: Peer,
  { method, request, signal, idleMs }: Reading<Req, Res>,
): AsyncGenerator<Res, void, undefined> {
  const { path, requestSerialize, responseDeserialize } = method
  const call = lease.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request)
  const ending = new Ending(() => call.cancel(), signal)
  lease.onClose = reason => ending.now(reason)
  call.once('status', () => {
    ending.clear()
    lease.release()
  })
  call.on('error', () => undefined) // told by the iterator; after the loop is left nobody else would hear it
  const rows = call[Symbol.asyncIterator]() as AsyncIterator<Res>
  try {
    for (;;) {
      const late = idleMs === undefined ? undefined : setTimeout(() => ending.now(tooSlow(peer, idleMs)), idleMs)
      const { done, value } = await rows.next().finally(() => clearTimeout(late))
      if (ending.reason !== undefined) throw ending.reason // rows that were on the way are no longer asked for
      if (done === true) return
      yield value
    }
  } catch (error) {
    throw ending.reason ?? callFailure(error, peer)
  } finally {
    call.cancel()
  }
}

/** Ends a call early once, and remembers why, for grpc-js says only CANCELLED. */
class Ending {
  reason: AoError | undefined
  readonly #cancel: () => void
  readonly #signal: AbortSignal | undefined

  constructor(cancel: () => void, signal: AbortSignal | undefined) {
    this.#cancel = cancel
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  now(reason: AoError): void {
    this.reason ??= reason
    this.#cancel()
  }

  clear(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }

  readonly #onAbort = (): void => this.now(AoError.from(this.#signal?.reason))
}

/** What a call that failed says, as the other side threw it or as the connection ended. */
export function callFailure(error: unknown, { address, grpc }: Peer): AoError {
  if (!isServiceError(error)) return AoError.from(error)
  const told = fromServiceError(error, { address, endpoint: grpc })
  if (told.code !== 'ABORTED' || error.code !== status.CANCELLED || told.cause !== error) return told
  // Nobody here cancelled, and the node did not say so: its connection was cut.
  const facts = { address, endpoint: grpc }
  return new AoError('PEER_UNREACHABLE', 'the connection was cut', facts, { cause: error, hint: unreachableHint })
}

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && 'code' in error && typeof error.code === 'number' && 'metadata' in error

const tooSlow = ({ address, grpc }: Peer, idleMs: number): AoError =>
  new AoError('DEADLINE', 'the stream stood still', { address, endpoint: grpc, idleMs })

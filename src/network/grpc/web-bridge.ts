import { type Client, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { AoError } from '../../lib/errors.ts'
import type { ChannelPool, Peer } from './channel-pool.ts'
import { decodeWebFrames, encodeTrailers, encodeWebFrame } from './web-frame.ts'

/**
 * Answers gRPC-Web by calling the node's own gRPC services, so that callers over HTTP meet the same admission, limits
 * and failures as all others. Calls of one request and any number of answers; what streams upwards needs real gRPC.
 */
export class WebBridge {
  readonly #pool: ChannelPool
  readonly #self: () => Peer
  readonly #maxMessageBytes: number

  constructor(pool: ChannelPool, self: () => Peer, { maxMessageBytes }: { readonly maxMessageBytes: number }) {
    this.#pool = pool
    this.#self = self
    this.#maxMessageBytes = maxMessageBytes
  }

  /**
   * The body of the answer, which ends with the call's status as trailers. Never throws once it has begun.
   *
   * @param path `/ao.v1.Compute/GetResult`.
   * @throws AoError `INVALID_ARGUMENT` unless the body is one frame.
   */
  async *call(
    path: string,
    body: Uint8Array,
    { signal }: { readonly signal: AbortSignal },
  ): AsyncGenerator<Uint8Array> {
    const request = await onlyFrame(body, this.#maxMessageBytes)
    const lease = this.#pool.lease(this.#self())
    try {
      yield* rowsOf(lease.client, path, request, signal)
    } finally {
      lease.release()
    }
  }
}

async function* rowsOf(
  client: Client,
  path: string,
  request: Uint8Array,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const call = client.makeServerStreamRequest(path, asIs, asIs, Buffer.from(request))
  const cancel = (): void => call.cancel()
  signal.addEventListener('abort', cancel, { once: true })
  call.on('error', () => undefined) // told by the iterator
  try {
    for await (const row of call as AsyncIterable<Buffer>) yield encodeWebFrame({ trailers: false, bytes: row })
    yield trailersOf({ code: status.OK, details: '', metadata: new Metadata() })
  } catch (error) {
    yield trailersOf(error as ServiceError)
  } finally {
    signal.removeEventListener('abort', cancel)
    call.cancel()
  }
}

const asIs = (bytes: Buffer): Buffer => bytes

function trailersOf({ code = status.UNKNOWN, details = '', metadata }: Partial<ServiceError>): Uint8Array {
  const fields: Record<string, string> = { 'grpc-status': String(code), 'grpc-message': encodeURIComponent(details) }
  for (const [name, value] of Object.entries(metadata?.getMap() ?? {})) {
    if (name.endsWith('-bin')) fields[name] = Buffer.from(value).toString('base64')
  }
  return encodeWebFrame({ trailers: true, bytes: encodeTrailers(fields) })
}

async function onlyFrame(body: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  const frames: Uint8Array[] = []
  try {
    for await (const { trailers, bytes } of decodeWebFrames(once(body), { maxBytes })) if (!trailers) frames.push(bytes)
  } catch (cause) {
    if (AoError.from(cause).code === 'TOO_LARGE') throw cause
    throw notOne(cause)
  }
  const [request] = frames
  if (request === undefined || frames.length > 1) throw notOne(undefined)
  return request
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

const notOne = (cause: unknown): AoError =>
  new AoError(
    'INVALID_ARGUMENT',
    'the body is not one gRPC-Web message',
    {},
    { cause, hint: 'See grpc/grpc PROTOCOL-WEB.md.' },
  )

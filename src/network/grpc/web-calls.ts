import { Metadata, type MethodDefinition, status } from '@grpc/grpc-js'
import { throwIfAborted, withDeadline } from '../../lib/abort.ts'
import { copyOf } from '../../lib/bytes.ts'
import { AoError } from '../../lib/errors.ts'
import { bearer, memberHint } from '../../lib/member-token.ts'
import { fromServiceError, unreachableHint } from './status.ts'
import { decodeTrailers, decodeWebFrames, encodeWebFrame, type WebFrame } from './web-frame.ts'

export interface WebCallsOptions {
  readonly maxMessageBytes: number
  /** Of a private network: shown with each call. */
  readonly memberToken?: string | undefined
}

/**
 * Calls a node's gRPC services over plain HTTP, as gRPC-Web. Nobody's certificate is pinned on the way, so nothing an
 * answer says is to be believed but what is signed in it.
 */
export class WebCalls {
  readonly #url: string
  readonly #maxMessageBytes: number
  readonly #memberToken: string | undefined
  readonly #closed = new AbortController()

  /** @param url Of the node's HTTP server. */
  constructor(url: string, { maxMessageBytes, memberToken }: WebCallsOptions) {
    this.#memberToken = memberToken
    this.#url = url.replace(/\/+$/, '')
    this.#maxMessageBytes = maxMessageBytes
  }

  /** @throws AoError as the other side threw it, or `PEER_UNREACHABLE` | `DEADLINE` | `ABORTED`. */
  async unary<Req, Res>(
    method: MethodDefinition<Req, Res>,
    request: Req,
    { signal, deadlineMs }: { readonly signal?: AbortSignal | undefined; readonly deadlineMs: number },
  ): Promise<Res> {
    const rows = this.stream(method, request, { signal: withDeadline(deadlineMs, { signal }) })
    for await (const row of rows) return row
    throw new AoError('INVALID_RECORD', 'the node sent no answer', { url: this.#url })
  }

  /** The rows of a server's stream. Leaving the loop cancels the call. */
  async *stream<Req, Res>(
    method: MethodDefinition<Req, Res>,
    request: Req,
    { signal, idleMs }: { readonly signal?: AbortSignal | undefined; readonly idleMs?: number | undefined },
  ): AsyncGenerator<Res, void, undefined> {
    throwIfAborted(signal)
    const ending = new AbortController()
    const signals = [ending.signal, this.#closed.signal, ...(signal === undefined ? [] : [signal])]
    const over = AbortSignal.any(signals)
    try {
      const body = await this.#post(method.path, method.requestSerialize(request), over)
      const frames = decodeWebFrames(body, { maxBytes: this.#maxMessageBytes })
      for (;;) {
        const late = idleMs === undefined ? undefined : setTimeout(() => ending.abort(stoodStill(idleMs)), idleMs)
        const { done, value } = await frames.next().finally(() => clearTimeout(late))
        if (done === true) throw new AoError('PEER_UNREACHABLE', 'the connection was cut', { url: this.#url })
        if (value.trailers) return this.#end(value)
        yield method.responseDeserialize(Buffer.from(copyOf(value.bytes)))
      }
    } catch (error) {
      if (over.aborted) throw AoError.from(over.reason)
      throw error
    } finally {
      ending.abort()
    }
  }

  /** Ends every open call with `STOPPING`. */
  async close(): Promise<void> {
    this.#closed.abort(new AoError('STOPPING', 'the connection to the node is being closed'))
  }

  async #post(path: string, bytes: Uint8Array, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const shown = this.#memberToken === undefined ? {} : { authorization: bearer(this.#memberToken) }
    const headers = { 'content-type': webContentType, 'x-grpc-web': '1', ...shown }
    const body = encodeWebFrame({ trailers: false, bytes }) as BodyInit
    const answer = await fetch(this.#url + path, { method: 'POST', headers, body, signal }).catch((cause: unknown) => {
      throw new AoError(
        'PEER_UNREACHABLE',
        'the node cannot be reached',
        { url: this.#url },
        { cause, hint: unreachableHint },
      )
    })
    if (answer.ok && answer.body !== null && answer.headers.get('content-type')?.startsWith(webContentType)) {
      return answer.body as unknown as AsyncIterable<Uint8Array>
    }
    await answer.body?.cancel()
    if (answer.status === 401) {
      throw new AoError('UNAUTHENTICATED', 'this is a private network', { url: this.#url }, { hint: memberHint })
    }
    throw new AoError(
      'PEER_UNREACHABLE',
      'no aonet node answers at this URL',
      { url: this.#url, status: answer.status },
      { hint: 'Name the URL of a node: `http` in `aonet status`.' },
    )
  }

  #end({ bytes }: WebFrame): void {
    const trailers = decodeTrailers(bytes)
    const code = Number(trailers['grpc-status'] ?? status.UNKNOWN)
    if (code === status.OK) return
    const metadata = new Metadata()
    for (const [name, value] of Object.entries(trailers)) {
      if (name.endsWith('-bin')) metadata.set(name, Buffer.from(value, 'base64'))
    }
    const details = decodeURIComponent(trailers['grpc-message'] ?? '')
    throw fromServiceError({ code, details, metadata }, { url: this.#url })
  }
}

export const webContentType = 'application/grpc-web+proto'

const stoodStill = (idleMs: number): AoError => new AoError('DEADLINE', 'the stream stood still', { idleMs })

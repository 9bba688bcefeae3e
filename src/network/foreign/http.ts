import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { withDeadline } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import type { Counter, Telemetry } from '../../lib/telemetry.ts'
import { assertAllowed, publicLookup } from './address-guard.ts'

export interface ForeignHttpOptions {
  /** Whether loopback and private addresses may be asked: on a testnet. */
  readonly allowPrivate: boolean
  /** Of the whole exchange with its redirects, in milliseconds. */
  readonly timeoutMs: number
  readonly maxRedirects: number
  readonly maxSockets: number
}
export const defaultForeignHttpOptions: ForeignHttpOptions = {
  allowPrivate: false,
  timeoutMs: 30_000,
  maxRedirects: 5,
  maxSockets: 64,
}

export interface ForeignQuestion {
  /** POST if there is one, else GET. */
  readonly body?: Uint8Array | undefined
  /** Bytes of answer that are read; more is refused. */
  readonly maxBytes: number
  readonly signal?: AbortSignal | undefined
}
export interface ForeignAnswer {
  readonly status: number
  readonly text: string
}

/**
 * HTTP to places that strangers name: http and https alone, public addresses alone, bounded in time, bytes, redirects and
 * connections. A redirect is looked at like the first URL; the body goes along with 307 and 308, as routers of SUs ask.
 */
export class ForeignHttp {
  readonly #options: ForeignHttpOptions
  readonly #agents: { readonly http: HttpAgent; readonly https: HttpsAgent }
  readonly #requests: Counter

  constructor({ metrics }: Telemetry, options: Partial<ForeignHttpOptions> = {}) {
    this.#options = { ...defaultForeignHttpOptions, ...options }
    const { maxSockets } = this.#options
    const limits = {
      keepAlive: true,
      maxSockets: 8,
      maxFreeSockets: 2,
      maxTotalSockets: maxSockets,
    }
    this.#agents = { http: new HttpAgent(limits), https: new HttpsAgent(limits) }
    const help = 'Requests to units of other networks.'
    this.#requests = metrics.counter('aonet_foreign_requests_total', help, ['outcome'])
  }

  /** Closes what is open. */
  close(): void {
    this.#agents.http.destroy()
    this.#agents.https.destroy()
  }

  /** @throws AoError `NOT_ALLOWED` as `assertAllowed` */
  assertAllowed(url: string): URL {
    return assertAllowed(url, this.#options)
  }

  /**
   * Any status but a redirect's is an answer.
   *
   * @throws AoError `PEER_UNREACHABLE` | `DEADLINE` | `ABORTED` | `TOO_LARGE` | `NOT_ALLOWED`
   */
  async ask(url: string, question: ForeignQuestion): Promise<ForeignAnswer> {
    const signal = withDeadline(this.#options.timeoutMs, question)
    try {
      const answer = await this.#follow(url, { ...question, signal })
      this.#requests.add(1, { outcome: answer.status < 400 ? 'ok' : 'refused' })
      return answer
    } catch (cause) {
      this.#requests.add(1, { outcome: 'failed' })
      if (signal.aborted) throw AoError.from(signal.reason)
      if (cause instanceof AoError) throw cause
      const hint = 'Try again later; its scheduler may have published another Url.'
      throw new AoError('PEER_UNREACHABLE', 'nobody answers at the Url of another network', { url }, { cause, hint })
    }
  }

  async #follow(first: string, question: ForeignQuestion): Promise<ForeignAnswer> {
    let url = this.assertAllowed(first)
    for (let hops = 0; hops <= this.#options.maxRedirects; hops++) {
      const response = await this.#send(url, question)
      const { statusCode: status = 0, headers } = response
      const { location } = headers
      if (location === undefined || !redirects(status, question.body !== undefined)) {
        return { status, text: await bounded(response, question.maxBytes, url) }
      }
      response.destroy()
      url = this.assertAllowed(URL.canParse(location, url) ? new URL(location, url).href : location)
    }
    throw new AoError('PEER_UNREACHABLE', 'the Url of another network redirects for ever', { url: first })
  }

  #send(url: URL, question: ForeignQuestion & { readonly fresh?: boolean }): Promise<IncomingMessage> {
    const { body, signal, fresh = false } = question
    const isTls = url.protocol === 'https:'
    const options = {
      method: body === undefined ? 'GET' : 'POST',
      agent: fresh ? false : isTls ? this.#agents.https : this.#agents.http,
      headers: {
        accept: 'application/json',
        ...(body && { 'content-type': 'application/octet-stream', 'content-length': body.length }),
      },
      ...(signal && { signal }),
      ...(this.#options.allowPrivate ? {} : { lookup: publicLookup }),
    }
    return new Promise((resolve, reject) => {
      const asking = (isTls ? requestHttps : requestHttp)(url, options, resolve)
      asking.on('error', error => {
        // It had closed a connection that was kept: nothing was asked yet, and asking again is harmless.
        const isStale = asking.reusedSocket && !fresh && signal?.aborted !== true
        if (isStale) resolve(this.#send(url, { ...question, fresh: true }))
        else reject(error)
      })
      asking.end(body)
    })
  }
}

const redirects = (status: number, isPost: boolean): boolean =>
  status === 307 || status === 308 || (!isPost && (status === 301 || status === 302 || status === 303))

async function bounded(response: IncomingMessage, maxBytes: number, url: URL): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  // Leaving the loop by an error closes the connection.
  for await (const part of response as AsyncIterable<Buffer>) {
    size += part.length
    if (size > maxBytes) {
      throw new AoError('TOO_LARGE', 'the unit of another network answers too much', { url: url.href, limit: maxBytes })
    }
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

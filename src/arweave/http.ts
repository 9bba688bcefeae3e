import { withDeadline } from '../lib/abort.ts'
import { toUtf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import type { Telemetry } from '../lib/telemetry.ts'

export interface Answer {
  readonly status: number
  readonly bytes: Uint8Array
  /** The body as text, at most so many characters. */
  text(limit?: number): string
}

export interface Question {
  readonly body?: Uint8Array | string | undefined
  /** Of the body; `application/json` unless given. */
  readonly type?: string
  /** Bytes of answer that are read; more is refused. */
  readonly maxBytes?: number
  /** Of the whole exchange, in milliseconds. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal | undefined
}

const defaultMaxBytes = 1024 * 1024
const defaultTimeoutMs = 30_000

/** Asks a gateway over HTTP: bounded in time and bytes, and every failure an AoError. */
export class GatewayHttp {
  readonly #requests: ReturnType<Telemetry['metrics']['counter']>

  constructor({ metrics }: Telemetry) {
    const help = 'Requests to Arweave gateways and uploaders.'
    this.#requests = metrics.counter('aonet_arweave_requests_total', help, ['outcome'])
  }

  /**
   * POST if there is a body, else GET. Any status below 500 but 429 is an answer.
   *
   * @throws AoError `PEER_UNREACHABLE` | `TOO_LARGE` | `ABORTED` | `DEADLINE`
   */
  async ask(url: string, question: Question = {}): Promise<Answer> {
    try {
      const answer = await exchange(url, question)
      if (answer.status >= 500 || answer.status === 429) throw unwell(url, answer)
      this.#requests.add(1, { outcome: answer.status < 400 ? 'ok' : 'refused' })
      return answer
    } catch (error) {
      this.#requests.add(1, { outcome: 'failed' })
      if (error instanceof AoError) throw error
      if (question.signal?.aborted) throw AoError.from(question.signal.reason)
      throw unreachable(url, error)
    }
  }
}

async function exchange(url: string, question: Question): Promise<Answer> {
  const { body, type = 'application/json', maxBytes = defaultMaxBytes, timeoutMs = defaultTimeoutMs } = question
  const response = await fetch(url, {
    signal: withDeadline(timeoutMs, { signal: question.signal }),
    // A redirected POST would lose its body.
    ...(body === undefined
      ? {}
      : { method: 'POST', redirect: 'error', headers: { 'content-type': type }, body: body as BodyInit }),
  })
  const bytes = await bounded(response, url, maxBytes)
  return { status: response.status, bytes, text: (limit = maxBytes) => toUtf8(bytes.subarray(0, limit)) }
}

async function bounded(response: Response, url: string, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let size = 0
  // Leaving the loop by an error cancels the rest of the body.
  for await (const part of response.body ?? []) {
    size += part.length
    if (size > maxBytes) {
      const hint = 'Ask another gateway if the answer should be small.'
      throw new AoError('TOO_LARGE', 'the gateway answers more than was asked for', { url, limit: maxBytes }, { hint })
    }
    parts.push(part)
  }
  return Buffer.concat(parts)
}

const unreachable = (url: string, cause: unknown): AoError =>
  new AoError(
    'PEER_UNREACHABLE',
    'the Arweave gateway does not answer',
    { url },
    { cause, hint: 'Check the gateway URL and that the gateway is running.' },
  )

const unwell = (url: string, answer: Answer): AoError =>
  new AoError(
    'PEER_UNREACHABLE',
    'the Arweave gateway cannot answer now',
    { url, status: answer.status, answer: answer.text(200) },
    { hint: 'Try again later, or use another gateway.' },
  )

import { AoError, type ErrorCode } from '../lib/errors.ts'

export interface ErrorAnswer {
  readonly status: number
  readonly body: { readonly error: string; readonly code: ErrorCode; readonly facts: object; readonly hint?: string }
}

/** What each code is on the devnet's HTTP. `SETTLEMENT_FAILED` here is a fee that was not paid. */
const statusOf = {
  INVALID_ARGUMENT: 400,
  INVALID_CONFIG: 400,
  INVALID_DATA_ITEM: 400,
  INVALID_ASSIGNMENT: 422,
  INVALID_RECORD: 400,
  TOO_LARGE: 413,
  UNAUTHENTICATED: 401,
  NOT_ALLOWED: 403,
  INSUFFICIENT_STAKE: 403,
  INSUFFICIENT_BALANCE: 403,
  UNKNOWN_PROCESS: 404,
  UNKNOWN_MESSAGE: 404,
  UNKNOWN_MODULE: 404,
  WRONG_UNIT: 404,
  WRONG_NETWORK: 400,
  DUPLICATE_EVIDENCE: 409,
  NONCE_GAP: 409,
  EQUIVOCATION: 409,
  UNSUPPORTED_MODULE: 501,
  UNSUPPORTED: 501,
  OVERLOADED: 429,
  NOT_READY: 503,
  STOPPING: 503,
  LOG_WRITE_FAILED: 503,
  STORE_CORRUPT: 500,
  STORE_LOCKED: 503,
  PORT_IN_USE: 503,
  PEER_UNREACHABLE: 502,
  SETTLEMENT_FAILED: 402,
  DEADLINE: 504,
  ABORTED: 499,
  INTERNAL: 500,
} as const satisfies Record<ErrorCode, number>

/** Any failure of a request as status and body. The web server's own refusals keep their status. */
export function errorAnswer(error: unknown): ErrorAnswer {
  const refusal = ofServer(error)
  const known = refusal ?? AoError.from(error)
  const { code, facts, hint, message } = known
  const status = refusal === undefined ? statusOf[code] : (statusIn(error) ?? 400)
  return { status, body: { error: message, code, facts, ...(hint === undefined ? {} : { hint }) } }
}

/** @throws never; makes the answer for something that is not here. */
export const unknown = (what: string, id: string): AoError =>
  new AoError(
    'UNKNOWN_MESSAGE',
    'Not Found.',
    { [what]: id.slice(0, 64) },
    { hint: 'Check the id, and that it was sent to this gateway.' },
  )

/** Fastify's and mercurius's refusals of a request carry a status below 500. */
function ofServer(error: unknown): AoError | undefined {
  const status = statusIn(error)
  if (error instanceof AoError || !(error instanceof Error) || status === undefined || status >= 500) return undefined
  const hint =
    status === 413
      ? 'Send less in one request; data above 12 MiB goes in chunks.'
      : 'Check the body and its Content-Type.'
  return new AoError(status === 413 ? 'TOO_LARGE' : 'INVALID_ARGUMENT', error.message, {}, { cause: error, hint })
}

const statusIn = (error: unknown): number | undefined =>
  error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined

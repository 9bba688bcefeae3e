import { AoError, type ErrorCode } from '../lib/errors.ts'
import type { Json } from '../lib/json.ts'

/** What each failure is in HTTP. Total: a new code does not compile until it has an answer here. */
const statuses = {
  INVALID_ARGUMENT: 400,
  INVALID_CONFIG: 500,
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
  WRONG_UNIT: 307,
  WRONG_NETWORK: 403,
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
  STORE_LOCKED: 500,
  PORT_IN_USE: 500,
  PEER_UNREACHABLE: 502,
  SETTLEMENT_FAILED: 502,
  DEADLINE: 504,
  ABORTED: 499,
  INTERNAL: 500,
} as const satisfies Record<ErrorCode, number>

/** Status and body of a failed request. `error` keeps the place that old AO clients read. */
export function httpFailure(thrown: unknown): {
  readonly status: number
  readonly body: { readonly [key: string]: Json }
} {
  const { code, message, facts, hint } = AoError.from(thrown)
  const body = {
    error: message,
    code,
    facts: JSON.parse(JSON.stringify(facts)) as Json,
    ...(hint === undefined ? {} : { hint }),
  }
  return { status: statuses[code], body }
}

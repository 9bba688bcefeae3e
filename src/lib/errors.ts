/**
 * Every failure a caller can meet has one of these codes. A code is public and permanent: each wire
 * (gRPC, HTTP, gossip) has a table that is total over them, so a new code compiles only once all answer for it.
 */
export const errorCodes = [
  'INVALID_ARGUMENT',
  'INVALID_CONFIG',
  'INVALID_DATA_ITEM',
  'INVALID_ASSIGNMENT',
  'INVALID_RECORD',
  'TOO_LARGE',
  'UNAUTHENTICATED',
  'NOT_ALLOWED',
  'INSUFFICIENT_STAKE',
  'INSUFFICIENT_BALANCE',
  'UNKNOWN_PROCESS',
  'UNKNOWN_MESSAGE',
  'UNKNOWN_MODULE',
  'WRONG_UNIT',
  'WRONG_NETWORK',
  'DUPLICATE_EVIDENCE',
  'NONCE_GAP',
  'EQUIVOCATION',
  'UNSUPPORTED_MODULE',
  'UNSUPPORTED',
  'OVERLOADED',
  'NOT_READY',
  'STOPPING',
  'LOG_WRITE_FAILED',
  'STORE_CORRUPT',
  'STORE_LOCKED',
  'PORT_IN_USE',
  'PEER_UNREACHABLE',
  'SETTLEMENT_FAILED',
  'DEADLINE',
  'ABORTED',
  'INTERNAL',
] as const

export type ErrorCode = (typeof errorCodes)[number]

/** Plain values that say which thing failed: ids, sizes, limits. Never keys, payloads or a stack. */
export type ErrorFacts = Readonly<Record<string, string | number | boolean | undefined>>

export interface AoErrorOptions {
  readonly cause?: unknown
  /** The next step for whoever reads it, as an imperative sentence. */
  readonly hint?: string | undefined
}

/** The one error class that crosses a layer or a wire. Anything else thrown is a bug and shows as `INTERNAL`. */
export class AoError extends Error {
  override readonly name = 'AoError'
  readonly code: ErrorCode
  readonly facts: ErrorFacts
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}, { cause, hint }: AoErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.facts = facts
    this.hint = hint
  }

  /** The error itself if it is one of ours, else `INTERNAL` with the original as cause and none of its text. */
  static from(error: unknown): AoError {
    if (error instanceof AoError) return error
    if (isAbort(error)) return new AoError('ABORTED', 'the caller gave up waiting', {}, { cause: error })
    if (isTimeout(error)) return new AoError('DEADLINE', 'the deadline passed', {}, { cause: error })
    return new AoError('INTERNAL', 'internal error', {}, { cause: error })
  }
}

/** Makes an error without its stack, which costs ten times as much as the rest of it. */
export function withoutStack<E extends Error>(make: () => E): E {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** An error for what a stranger may be told as often as he likes: without a stack. */
export const refusal = (...what: ConstructorParameters<typeof AoError>): AoError =>
  withoutStack(() => new AoError(...what))

export const isErrorCode = (code: string): code is ErrorCode => (errorCodes as readonly string[]).includes(code)

export const hasCode = (error: unknown, ...codes: readonly ErrorCode[]): error is AoError =>
  error instanceof AoError && codes.includes(error.code)

/** What a caller may do about a failure. `later`: the thing may yet appear. `elsewhere`: ask another unit. */
export type RetryAdvice = 'no' | 'later' | 'elsewhere' | 'back-off'

const advice = {
  INVALID_ARGUMENT: 'no',
  INVALID_CONFIG: 'no',
  INVALID_DATA_ITEM: 'no',
  INVALID_ASSIGNMENT: 'no',
  INVALID_RECORD: 'no',
  TOO_LARGE: 'no',
  UNAUTHENTICATED: 'no',
  NOT_ALLOWED: 'no',
  INSUFFICIENT_STAKE: 'no',
  INSUFFICIENT_BALANCE: 'no',
  UNKNOWN_PROCESS: 'later',
  UNKNOWN_MESSAGE: 'later',
  UNKNOWN_MODULE: 'later',
  WRONG_UNIT: 'elsewhere',
  WRONG_NETWORK: 'no',
  DUPLICATE_EVIDENCE: 'no',
  NONCE_GAP: 'later',
  EQUIVOCATION: 'no',
  UNSUPPORTED_MODULE: 'elsewhere',
  UNSUPPORTED: 'no',
  OVERLOADED: 'back-off',
  NOT_READY: 'elsewhere',
  STOPPING: 'elsewhere',
  LOG_WRITE_FAILED: 'elsewhere',
  STORE_CORRUPT: 'elsewhere',
  STORE_LOCKED: 'no',
  PORT_IN_USE: 'no',
  PEER_UNREACHABLE: 'elsewhere',
  SETTLEMENT_FAILED: 'back-off',
  DEADLINE: 'back-off',
  ABORTED: 'no',
  INTERNAL: 'elsewhere',
} as const satisfies Record<ErrorCode, RetryAdvice>

export const retryAdvice = (error: unknown): RetryAdvice => advice[AoError.from(error).code]

const nameOf = (error: unknown): string => (error instanceof Error || error instanceof DOMException ? error.name : '')
const isAbort = (error: unknown): boolean => nameOf(error) === 'AbortError'
const isTimeout = (error: unknown): boolean => nameOf(error) === 'TimeoutError'

import { Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { asBuffer } from '../../lib/bytes.ts'
import { AoError, type ErrorCode, type ErrorFacts, isErrorCode, withoutStack } from '../../lib/errors.ts'
import { decodeErrorDetail, encodeErrorDetail } from './convert.ts'

/** Total over the codes. `fromServiceError` goes by the detail; the status is for callers who do not know ours. */
export const grpcStatus = {
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  INVALID_CONFIG: status.FAILED_PRECONDITION,
  INVALID_DATA_ITEM: status.INVALID_ARGUMENT,
  INVALID_ASSIGNMENT: status.INVALID_ARGUMENT,
  INVALID_RECORD: status.INVALID_ARGUMENT,
  TOO_LARGE: status.INVALID_ARGUMENT,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  NOT_ALLOWED: status.PERMISSION_DENIED,
  INSUFFICIENT_STAKE: status.FAILED_PRECONDITION,
  INSUFFICIENT_BALANCE: status.FAILED_PRECONDITION,
  UNKNOWN_PROCESS: status.NOT_FOUND,
  UNKNOWN_MESSAGE: status.NOT_FOUND,
  UNKNOWN_MODULE: status.NOT_FOUND,
  WRONG_UNIT: status.FAILED_PRECONDITION,
  WRONG_NETWORK: status.FAILED_PRECONDITION,
  DUPLICATE_EVIDENCE: status.ALREADY_EXISTS,
  NONCE_GAP: status.OUT_OF_RANGE,
  EQUIVOCATION: status.ABORTED,
  UNSUPPORTED_MODULE: status.UNIMPLEMENTED,
  UNSUPPORTED: status.UNIMPLEMENTED,
  OVERLOADED: status.RESOURCE_EXHAUSTED,
  NOT_READY: status.UNAVAILABLE,
  STOPPING: status.UNAVAILABLE,
  LOG_WRITE_FAILED: status.UNAVAILABLE,
  STORE_CORRUPT: status.DATA_LOSS,
  STORE_LOCKED: status.FAILED_PRECONDITION,
  PORT_IN_USE: status.FAILED_PRECONDITION,
  PEER_UNREACHABLE: status.UNAVAILABLE,
  SETTLEMENT_FAILED: status.UNAVAILABLE,
  DEADLINE: status.DEADLINE_EXCEEDED,
  ABORTED: status.CANCELLED,
  INTERNAL: status.INTERNAL,
} as const satisfies Record<ErrorCode, status>

/** What a failed call ends with: status, text, and an ErrorDetail in the trailing metadata. */
export type WireStatus = Pick<ServiceError, 'code' | 'details' | 'metadata'>

/** Trailing metadata with the detail of an error, whose code it tells without being read again. */
class DetailMetadata extends Metadata {
  readonly errorCode: ErrorCode

  constructor(shown: AoError) {
    super()
    this.errorCode = shown.code
    this.set(detailKey, asBuffer(detailBytes(shown)))
  }
}

/** Any failure as the wire has it. Only AoErrors keep their text; anything else is `INTERNAL` and says nothing. */
export function toWireStatus(error: unknown): WireStatus {
  const shown = withoutInnerText(AoError.from(error))
  return { code: grpcStatus[shown.code], details: textOf(shown), metadata: new DetailMetadata(shown) }
}

const textOf = ({ message }: AoError): string => wellFormed(message, 1024)

const detailBytes = (shown: AoError): Uint8Array => {
  const { code, facts, hint } = shown
  const factsJson = factsToJson(facts)
  return encodeErrorDetail({ code, message: textOf(shown), factsJson, hint: wellFormed(hint ?? '', 512) })
}

/** The same as an Error, which is how grpc-js takes it from a handler. */
export const toServiceError = (error: unknown): ServiceError => {
  const wire = toWireStatus(error)
  return Object.assign(
    withoutStack(() => new Error(wire.details)),
    wire,
  )
}

/** The code that a call ended with, as the other side will read it. */
export const codeOf = (ended: WireStatus): ErrorCode | 'OK' => {
  if (ended.code === status.OK) return 'OK'
  return ended.metadata instanceof DetailMetadata ? ended.metadata.errorCode : fromServiceError(ended).code
}

/** The AoError that the other side threw; without a detail, what the status tells. */
export function fromServiceError(error: WireStatus, where: ErrorFacts = {}): AoError {
  const [bytes] = error.metadata?.get(detailKey) ?? []
  const told = typeof bytes === 'object' ? fromDetailBytes(bytes) : undefined
  if (told !== undefined) return told
  const facts = { ...where, reason: reasonIn(error.details) }
  switch (error.code) {
    case status.UNAVAILABLE:
      return new AoError('PEER_UNREACHABLE', 'the node cannot be reached', facts, {
        cause: error,
        hint: unreachableHint,
      })
    case status.DEADLINE_EXCEEDED:
      return new AoError('DEADLINE', 'the deadline passed', where, { cause: error })
    case status.CANCELLED:
      return new AoError('ABORTED', 'the call was cancelled', where, { cause: error })
    case status.RESOURCE_EXHAUSTED:
      return /larger than/i.test(error.details)
        ? new AoError('TOO_LARGE', 'the message is too large for the wire', facts, { cause: error, hint: largeHint })
        : new AoError('OVERLOADED', 'the node is busy', facts, { cause: error, hint: 'Try again later.' })
    default:
      return new AoError('INTERNAL', 'the node failed', { ...where, status: status[error.code] }, { cause: error })
  }
}

/** TLS says of a certificate that is not the pinned one that nobody known has signed it, which helps nobody. */
const reasonIn = (details: string): string =>
  /certificate/i.test(details) ? 'it shows another certificate than its record' : details.slice(0, 200)

/** An AoError as bytes, for answers that carry failures inside a stream. */
export const toDetailBytes = (error: unknown): Uint8Array => detailBytes(withoutInnerText(AoError.from(error)))

/** The AoError in the bytes of an ErrorDetail; undefined if they are not one that we know. */
export function fromDetailBytes(bytes: Uint8Array): AoError | undefined {
  const detail = decodeErrorDetail(bytes)
  if (detail === undefined || !isErrorCode(detail.code)) return undefined
  const { code, message, factsJson, hint } = detail
  return new AoError(code, message, factsFromJson(factsJson), { hint: hint === '' ? undefined : hint })
}

export const unreachableHint = 'Is the node running? See `aonet testnet status`.'
const largeHint = 'Put large data on Arweave and send its id.'
const detailKey = 'ao-error-bin'
/** Trailers share the peer's limit on header bytes (16 KiB in many implementations), so facts are kept well below. */
const maxFactsChars = 4096

const withoutInnerText = (error: AoError): AoError =>
  error.code === 'INTERNAL' ? new AoError('INTERNAL', 'internal error') : error

/** A lone surrogate would make the encoding of the status line throw. */
const wellFormed = (text: string, maxChars: number): string => text.slice(0, maxChars).toWellFormed()

function factsToJson(facts: ErrorFacts): string {
  const json = JSON.stringify(facts)
  return json.length <= maxFactsChars ? json : '{}'
}

function factsFromJson(json: string): ErrorFacts {
  try {
    const facts: unknown = JSON.parse(json)
    if (facts === null || typeof facts !== 'object') return {}
    return Object.fromEntries(
      Object.entries(facts).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value)),
    ) as ErrorFacts
  } catch {
    return {} // facts are a courtesy; the code stands without them
  }
}

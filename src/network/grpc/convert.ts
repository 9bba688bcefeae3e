import { z } from 'zod'
import { copyOf, toUtf8, utf8 } from '../../lib/bytes.ts'
import { AoError } from '../../lib/errors.ts'
import type {
  AssignRequest,
  CrankProgress,
  CronAt,
  DryRunMessage,
  ResultBound,
  ResultsQuery,
  StateBound,
} from '../../ports/units.ts'
import { type Assignment, parseAssignment, type ScheduledMessage } from '../../protocol/assignment.ts'
import { noteChecked } from '../../protocol/checked-items.ts'
import { cronText, parseCronText } from '../../protocol/cron.ts'
import { type DataItem, verifyDataItemAside } from '../../protocol/data-item.ts'
import {
  type Id,
  isId,
  type MessageId,
  type Nonce,
  type ProcessId,
  parseAddress,
  parseId,
  parseNonce,
} from '../../protocol/ids.ts'
import { decodeResult, type Evaluation, type Result, readEvaluation, resultToJson } from '../../protocol/result.ts'
import { ErrorDetail } from './generated/ao/v1/common.ts'
import type { DryRunRequest, ListResultsRequest } from './generated/ao/v1/compute.ts'
import type { ReadScheduleResponse } from './generated/ao/v1/scheduler.ts'

// Bytes that arrive are views of the received frame. Everything here that may be kept is copied first.

/** @throws AoError `TOO_LARGE` | `INVALID_DATA_ITEM` */
export const itemFromWire = async (bytes: Uint8Array): Promise<DataItem> =>
  noteChecked(await verifyDataItemAside(copyOf(bytes)))

/** @throws AoError `INVALID_ASSIGNMENT` if the bytes are not a signed Assignment. */
export async function assignmentFromWire(bytes: Uint8Array): Promise<Assignment> {
  const item = await itemFromWire(bytes).catch(cause => {
    throw new AoError('INVALID_ASSIGNMENT', `not a signed Assignment: ${AoError.from(cause).message}`, {}, { cause })
  })
  return parseAssignment(item)
}

export const scheduledToWire = ({ assignment, message }: ScheduledMessage): ReadScheduleResponse => ({
  assignment: assignment.raw,
  item: message?.raw,
})

/**
 * Signatures are checked, and that the item is the one assigned; links between rows are the reader's business. One after
 * the other: of a single row each is checked at once, and not in a thread that would have to be woken first.
 */
export async function scheduledFromWire({ assignment: bytes, item }: ReadScheduleResponse): Promise<ScheduledMessage> {
  const assignment = await assignmentFromWire(bytes)
  if (item === undefined) return { assignment }
  const message = await itemFromWire(item)
  if (message.id !== assignment.message) {
    const facts = { nonce: assignment.nonce, expected: assignment.message, got: message.id }
    throw new AoError('INVALID_ASSIGNMENT', 'the Assignment came with another message than it names', facts)
  }
  return { assignment, message }
}

type WireAt = { readonly $case: 'message'; value: string } | { readonly $case: 'nonce'; value: number }
type WireCron = { nonce: number; cron: string }

export const atToWire = (at: MessageId | Nonce): WireAt =>
  typeof at === 'number' ? { $case: 'nonce', value: at } : { $case: 'message', value: at }

export const resultAtToWire = (at: MessageId | Nonce | CronAt): WireAt | { $case: 'cron'; value: WireCron } =>
  typeof at === 'object' ? { $case: 'cron', value: cronAtToWire(at) } : atToWire(at)

/** @throws AoError `INVALID_ARGUMENT` */
export const resultAtFromWire = (
  at: WireAt | { $case: 'cron'; value: WireCron } | undefined,
): MessageId | Nonce | CronAt => (at?.$case === 'cron' ? cronAtFromWire(at.value) : atFromWire(at))

const cronAtToWire = ({ nonce, cron }: CronAt): WireCron => ({ nonce, cron: cronText(cron) })
const cronAtFromWire = ({ nonce, cron }: WireCron): CronAt => ({
  nonce: parseNonce(nonce),
  cron: parseCronText(cron),
})

/** @throws AoError `INVALID_ARGUMENT` */
export function atFromWire(at: WireAt | undefined): MessageId | Nonce {
  if (at === undefined) throw new AoError('INVALID_ARGUMENT', 'neither a message nor a nonce was given')
  return at.$case === 'nonce' ? parseNonce(at.value) : parseId<MessageId>(at.value, 'message')
}

export const resultsQueryToWire = (process: string, query: ResultsQuery): ListResultsRequest => {
  const { after, to, descending, limit, crons = false } = query
  return {
    process,
    after: boundToWire(after, ['afterNonce', 'afterTimestamp', 'afterCron']),
    to: boundToWire(to, ['toNonce', 'toTimestamp', 'toCron']),
    ...{ descending, limit, crons },
  }
}

/** @throws AoError `INVALID_ARGUMENT` */
export const resultsQueryFromWire = ({ after, to, descending, limit, crons }: ListResultsRequest): ResultsQuery => ({
  after: after && boundFromWire(after.value, after.$case === 'afterNonce'),
  to: to && boundFromWire(to.value, to.$case === 'toNonce'),
  ...{ descending, crons },
  limit: pageLimit(limit),
})

/** @throws AoError `INVALID_ARGUMENT` */
export const placeFromWire = (
  at: { $case: 'afterNonce'; value: number } | { $case: 'afterCron'; value: WireCron } | undefined,
): ResultBound | undefined =>
  at?.$case === 'afterCron' ? cronAtFromWire(at.value) : at && { nonce: parseNonce(at.value) }

/** Rows of one page of results at the most. */
export const maxResultRows = 1000

function pageLimit(limit: number): number {
  if (limit >= 1 && limit <= maxResultRows) return limit
  throw new AoError('INVALID_ARGUMENT', 'the limit of a page is out of range', { limit, max: maxResultRows })
}

const boundToWire = <N extends string, T extends string, C extends string>(
  bound: ResultBound | undefined,
  [nonceCase, timeCase, cronCase]: readonly [N, T, C],
): { $case: N; value: number } | { $case: T; value: number } | { $case: C; value: WireCron } | undefined => {
  if (bound === undefined) return undefined
  if (!('nonce' in bound)) return { $case: timeCase, value: bound.timestamp }
  const { nonce, cron } = bound
  return cron === undefined
    ? { $case: nonceCase, value: nonce }
    : { $case: cronCase, value: cronAtToWire({ nonce, cron }) }
}

function boundFromWire(value: number | WireCron, isNonce: boolean): ResultBound {
  if (typeof value === 'object') return cronAtFromWire(value)
  return isNonce ? { nonce: parseNonce(value) } : { timestamp: parseNonce(value, 'timestamp') }
}

type WireBound = { $case: 'toMessage'; value: string } | { $case: 'toTimestamp'; value: number }

export const stateBoundToWire = (to: StateBound | undefined): WireBound | undefined =>
  typeof to === 'string' ? { $case: 'toMessage', value: to } : to && { $case: 'toTimestamp', value: to.timestamp }

/** @throws AoError `INVALID_ARGUMENT` */
export function stateBoundFromWire(to: WireBound | undefined): StateBound | undefined {
  if (to === undefined) return undefined
  return to.$case === 'toMessage' ? parseId<MessageId>(to.value, 'to') : { timestamp: parseNonce(to.value, 'to') }
}

export const dryRunToWire = (process: string, message: DryRunMessage, to?: StateBound): DryRunRequest => ({
  process,
  to: stateBoundToWire(to),
  owner: message.owner,
  from: message.from ?? '',
  id: message.id ?? '',
  anchor: message.anchor ?? '',
  tags: [...message.tags],
  data: message.data,
  fields: message.fields === undefined ? new Uint8Array(0) : jsonToWire(message.fields),
})

export const dryRunFromWire = (request: DryRunRequest): DryRunMessage => ({
  owner: request.owner,
  from: orUndefined(request.from),
  id: orUndefined(request.id),
  anchor: orUndefined(request.anchor),
  tags: request.tags,
  data: request.data,
  ...(request.fields.length === 0 ? {} : { fields: fieldsFromWire(request.fields) }),
})

function fieldsFromWire(bytes: Uint8Array): NonNullable<DryRunMessage['fields']> {
  try {
    return z.record(z.string(), z.json()).parse(jsonFromWire(bytes)) as NonNullable<DryRunMessage['fields']>
  } catch (cause) {
    throw new AoError('INVALID_ARGUMENT', 'the further fields are no JSON object', { bytes: bytes.length }, { cause })
  }
}

export const evaluationToWire = (evaluation: Evaluation): Uint8Array => jsonToWire(resultToJson(evaluation))

/** @throws AoError `INVALID_RECORD` */
export const evaluationFromWire = (bytes: Uint8Array): Evaluation =>
  readable('an evaluation', () => {
    const answer = jsonFromWire(bytes)
    return readEvaluation(answer, BigInt(z.object({ GasUsed: z.int().nonnegative() }).parse(answer).GasUsed))
  })

/** @throws AoError `INVALID_RECORD` */
export const resultFromWire = (bytes: Uint8Array): Result =>
  readable('a result', () => {
    const result = decodeResult(bytes)
    parseId(result.process)
    parseNonce(result.nonce)
    parseId<Id>(result.stateRoot)
    parseNonce(result.stateNonce)
    return result
  })

type WireAssign = { process: string; item: string; baseLayer: boolean; exclude: string[] }

export const assignToWire = ({ process, item, baseLayer, exclude }: AssignRequest): WireAssign => ({
  ...{ process, item, baseLayer },
  exclude: [...exclude],
})

/** @throws AoError `INVALID_ARGUMENT` */
export const assignFromWire = ({ process, item, baseLayer, exclude }: WireAssign): AssignRequest => ({
  process: parseId<ProcessId>(process, 'process'),
  item: parseId<MessageId>(item, 'item'),
  baseLayer,
  exclude,
})

export const progressToWire = (progress: CrankProgress): Uint8Array => jsonToWire(progress)

/** @throws AoError `INVALID_RECORD` */
export const progressFromWire = (bytes: Uint8Array): CrankProgress =>
  readable('crank progress', () => {
    const { reason, parts, result, ...progress } = progressSchema.parse(jsonFromWire(bytes))
    return {
      ...progress,
      reason,
      result: result && { ...result, error: result.error },
      parts: parts.map(({ message, nonce, handedTo, reason, ...part }) => ({
        ...{ ...part, message, nonce, handedTo, reason },
      })),
    }
  })

export const jsonToWire = (value: unknown): Uint8Array => utf8(JSON.stringify(value))
export const jsonFromWire = (bytes: Uint8Array): unknown => JSON.parse(toUtf8(bytes))

/** Runs a parser over a peer's answer. @throws AoError `INVALID_RECORD` whatever it trips over. */
export function readable<T>(what: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new AoError('INVALID_RECORD', `the node's answer is not ${what}`, {}, { cause })
  }
}

export const encodeErrorDetail = (detail: ErrorDetail): Uint8Array => ErrorDetail.encode(detail).finish()

export function decodeErrorDetail(bytes: Uint8Array): ErrorDetail | undefined {
  try {
    return ErrorDetail.decode(bytes)
  } catch {
    return undefined // not ours: the status alone must do
  }
}

const orUndefined = (text: string): string | undefined => (text === '' ? undefined : text)

const count = z.int().nonnegative()
const nonce = count.transform(value => parseNonce(value))
const messageId = z.custom<MessageId>(isId)
const id = z.custom<Id>(isId)
const address = z.string().transform(value => parseAddress(value))
const progressSchema = z.object({
  process: z.custom<ProcessId>(isId),
  message: messageId,
  nonce,
  state: z.enum(['queued', 'waiting', 'pushing', 'done', 'failed']),
  attempts: count,
  reason: z.string().optional(),
  depth: count,
  at: z.number(),
  result: z.object({ compute: address, stateRoot: id, outboxRoot: id, error: z.string().optional() }).optional(),
  parts: z.array(
    z.object({
      kind: z.enum(['message', 'spawn', 'assignment']),
      target: z.string(),
      state: z.enum(['waiting', 'pushed', 'failed']),
      message: messageId.optional(),
      nonce: nonce.optional(),
      handedTo: address.optional(),
      reason: z.string().optional(),
    }),
  ),
})

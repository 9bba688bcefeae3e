import type { FastifyRequest } from 'fastify'
import type { AbortOptions } from '../lib/abort.ts'
import { AoError, hasCode } from '../lib/errors.ts'
import type { Json } from '../lib/json.ts'
import type { CrankProgress, Messenger, Scheduler } from '../ports/units.ts'
import type { Assignment } from '../protocol/assignment.ts'
import { type MessageId, type Nonce, type ProcessId, parseId } from '../protocol/ids.ts'
import { idSchema, object, text, whole } from './openapi.ts'
import { numberParam, param, requiredId } from './request.ts'

export interface TraceUnits {
  readonly messenger: Messenger
  readonly scheduler: Scheduler
}

/** Whose pushing is asked for: of one message and all it set off, or of the newest messages of a Process. */
export interface TracesQuery {
  readonly process: ProcessId
  readonly message: MessageId | undefined
  /** Only messages that this wallet signed. */
  readonly wallet: string | undefined
  /** From 1. */
  readonly page: number
  readonly pageSize: number
}

const maxPageSize = 100

/** Undefined unless traces are asked for. @throws AoError `INVALID_ARGUMENT` */
export function tracesQuery(request: FastifyRequest): TracesQuery | undefined {
  if (param(request, 'debug') === undefined) return undefined
  const process = requiredId<ProcessId>(request, 'process')
  const [name] = filtersOf(request)
  return {
    process,
    message: name && parseId<MessageId>(param(request, name), name),
    wallet: param(request, 'wallet'),
    page: Math.max(1, numberParam(request, 'page') ?? 1),
    pageSize: Math.min(maxPageSize, Math.max(1, numberParam(request, 'page-size') ?? 10)),
  }
}

/** Clients tell this mistake from others by its status, 422. */
export function tooManyFilters(request: FastifyRequest): AoError | undefined {
  const given = filtersOf(request)
  if (param(request, 'debug') === undefined || given.length < 2) return undefined
  const hint = `Leave out all but one of ${filters.join(', ')}.`
  return new AoError('INVALID_ARGUMENT', 'only one message can be asked for', { given: given.join(' ') }, { hint })
}

const filtersOf = (request: FastifyRequest) => filters.filter(name => param(request, name) !== undefined)

/** All three are ids of items; what kind it is makes no difference here. */
const filters = ['message', 'spawn', 'assign'] as const

/** One page. @throws AoError `UNKNOWN_PROCESS`; `UNKNOWN_MESSAGE` for a message that no MU has pushed. */
export async function traces(units: TraceUnits, query: TracesQuery, options: AbortOptions): Promise<Json> {
  const { nodes, hasNext } = await (query.message === undefined ? ofProcess : ofMessage)(units, query, options)
  return {
    pageInfo: { hasNextPage: hasNext },
    edges: nodes.map(node => ({ node, cursor: node.id })),
  }
}

interface TraceNode {
  readonly [key: string]: Json
  readonly id: string
}
interface Page {
  readonly nodes: readonly TraceNode[]
  readonly hasNext: boolean
}

async function ofMessage({ messenger }: TraceUnits, query: TracesQuery, options: AbortOptions): Promise<Page> {
  const { process, message = '' as MessageId, page, pageSize } = query
  const nodes: TraceNode[] = []
  for await (const step of messenger.follow(process, message, { ...options, once: true })) nodes.push(nodeOf(step))
  const from = (page - 1) * pageSize
  return { nodes: nodes.slice(from, from + pageSize), hasNext: nodes.length > from + pageSize }
}

/** The newest first. */
async function ofProcess(
  { messenger, scheduler }: TraceUnits,
  query: TracesQuery,
  options: AbortOptions,
): Promise<Page> {
  const { process, wallet, page, pageSize } = query
  const { nonce: newest } = await scheduler.assignment(process, 'newest', options)
  const to = newest - (page - 1) * pageSize
  const from = Math.max(0, to - pageSize + 1)
  const asked: Assignment[] = []
  if (to >= 0) {
    for await (const row of scheduler.read(process, { from: from as Nonce, to: to as Nonce }, options)) {
      if (wallet === undefined || row.message?.owner === wallet) asked.unshift(row.assignment)
    }
  }
  const nodes = await Promise.all(asked.map(assignment => ownNode(messenger, assignment, options)))
  return { nodes, hasNext: from > 0 }
}

async function ownNode(messenger: Messenger, { process, message, ...at }: Assignment, options: AbortOptions) {
  try {
    for await (const step of messenger.follow(process, message, { ...options, once: true })) {
      if (step.process === process && step.message === message) return nodeOf(step)
    }
  } catch (error) {
    if (!hasCode(error, 'UNKNOWN_MESSAGE')) throw error
  }
  const node = { id: message, messageId: message, processId: process, nonce: at.nonce, timestamp: at.timestamp }
  return { ...node, data: 'no MU that answers has pushed it' }
}

function nodeOf(step: CrankProgress): TraceNode {
  const { process, message, nonce, at, state, attempts, depth, reason, parts } = step
  return {
    ...{ id: `${message}-${process}`, messageId: message, processId: process, nonce, timestamp: at },
    ...{ state, attempts, depth, data: reason ?? `${state}, ${parts.length} parts` },
    parts: parts.map(part => JSON.parse(JSON.stringify(part)) as Json),
  }
}

export const traceDocs = {
  debug: { description: 'Shows how far messages are pushed, instead.', schema: text },
  process: { description: 'With debug: the Process.', schema: idSchema },
  message: { description: 'With debug: one message, and what it set off.', schema: idSchema },
  spawn: { description: 'As message.', schema: idSchema },
  assign: { description: 'As message.', schema: idSchema },
  wallet: { description: 'With debug: only messages that it signed.', schema: text },
  page: { description: 'From 1.', schema: { type: 'integer', minimum: 1 } },
  'page-size': { description: '10 unless told, 100 at the most.', schema: { type: 'integer', minimum: 1 } },
} as const

export const tracesSchema = object({
  pageInfo: object({ hasNextPage: { type: 'boolean' } }),
  edges: {
    type: 'array',
    items: object({
      cursor: text,
      node: object({ id: text, messageId: idSchema, processId: idSchema, nonce: whole, timestamp: whole, data: text }),
    }),
  },
})

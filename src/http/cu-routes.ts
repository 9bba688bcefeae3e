import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Clock } from '../lib/clock.ts'
import { AoError } from '../lib/errors.ts'
import type { Compute } from '../ports/units.ts'
import { type Address, type MessageId, type ProcessId, parseId } from '../protocol/ids.ts'
import { resultToJson } from '../protocol/result.ts'
import { parseDryRun } from './dry-run-body.ts'
import { idSchema, object, type RouteDoc, tagsSchema, text, whole } from './openapi.ts'
import { bodyOf, idParam, limitParam, numberParam, param, pathId, requiredId, whileWaiting } from './request.ts'
import { cursorOf, parsePlace, type ResultPlace, type Sort } from './result-cursor.ts'
import type { Routes } from './server.ts'

export interface CuRoutesDeps {
  /** This node's, or one that passes on. */
  readonly compute: Compute
  readonly address: Address
  readonly clock: Clock
}

/** The CU as AO clients call it: `CU_URL` is the node's URL and `/cu`. Source of the shapes: compat.md section D. */
export const cuRoutes =
  (deps: CuRoutesDeps): Routes =>
  server => {
    server.register(async cu => registerAll(cu, deps), { prefix: '/cu' })
  }

function registerAll(cu: FastifyInstance, { compute, address, clock }: CuRoutesDeps): void {
  cu.get('/', { config: { doc: docs.about } }, () => ({ address, timestamp: clock.now() }))

  cu.get('/result/:id', { config: { doc: docs.result } }, async (request, reply) => {
    const process = requiredId<ProcessId>(request, 'process-id')
    const message = pathId<MessageId>(request)
    const { result } = await compute.result(process, message, whileWaiting(reply, evaluateMs))
    return resultToJson(result)
  })

  cu.get('/results/:id', { config: { doc: docs.results } }, async (request, reply) => {
    const process = pathId<ProcessId>(request)
    const limit = limitParam(request, { initial: 25, max: 1000 })
    const [from, to] = [placeParam(request, 'from'), placeParam(request, 'to')]
    // A cursor's own order goes before what is asked for, as in the reference CU: aos relies on it.
    const sort = from?.sort ?? to?.sort ?? sortParam(request)
    const query = { after: from?.bound, to: to?.bound, descending: sort === 'DESC', limit }
    const { rows, hasNext } = await compute.results(process, query, whileWaiting(reply, evaluateMs))
    return {
      pageInfo: { hasNextPage: hasNext },
      edges: rows.map(row => ({ node: resultToJson(row.result), cursor: cursorOf(row, sort) })),
    }
  })

  cu.get('/cron/:id', { config: { doc: docs.cron } }, async (request, reply) => {
    const process = pathId<ProcessId>(request)
    const limit = limitParam(request, { initial: 500, max: 1000 })
    const [after, to] = [placeParam(request, 'from')?.bound, placeParam(request, 'to')?.bound]
    const query = { after, to, crons: true, descending: false, limit }
    const { rows, hasNext } = await compute.results(process, query, whileWaiting(reply, evaluateMs))
    return {
      pageInfo: { hasNextPage: hasNext },
      edges: rows.map(row => ({ node: resultToJson(row.result), cursor: cursorOf(row, 'ASC') })),
    }
  })

  cu.get('/state/:id', { config: { doc: docs.state } }, async (request, reply) => {
    const timestamp = numberParam(request, 'to')
    const to = timestamp === undefined ? undefined : { timestamp }
    const options = { ...whileWaiting(reply, evaluateMs), to }
    const dump = await compute.memory(pathId<ProcessId>(request), options)
    reply
      .type('application/octet-stream')
      .header('last-timestamp', dump.timestamp)
      .header('last-ordinate', dump.nonce)
      .header('last-block-height', dump.blockHeight)
    reply.raw.setTimeout(stallMs, () => reply.raw.destroy())
    return reply.send(pipeline(Readable.from(dump.gzip), createGunzip(), () => undefined))
  })

  cu.post('/dry-run', { config: { doc: docs.dryRun } }, async (request, reply) => {
    const { message, target } = parseDryRun(bodyOf(request))
    const process = idParam<ProcessId>(request, 'process-id') ?? parseId<ProcessId>(target, 'process-id')
    const options = { ...whileWaiting(reply, evaluateMs), to: idParam<MessageId>(request, 'to') }
    return resultToJson(await compute.dryRun(process, message, options))
  })
}

/** A long schedule may have to be replayed first. */
const evaluateMs = 120_000
/** A reader of a memory that takes nothing for so long is let go. */
const stallMs = 30_000

function placeParam(request: FastifyRequest, name: 'from' | 'to'): ResultPlace | undefined {
  const value = param(request, name)
  // aoconnect sends an empty one where its caller passes null.
  return value === undefined || value === '' ? undefined : parsePlace(value, name)
}

function sortParam(request: FastifyRequest): Sort {
  const sort = param(request, 'sort') ?? 'ASC'
  if (sort === 'ASC' || sort === 'DESC') return sort
  throw new AoError('INVALID_ARGUMENT', 'sort is neither ASC nor DESC', { sort: sort.slice(0, 16) })
}

const outboxMessage = object({ Target: text, Anchor: text, Tags: tagsSchema, Data: text })
const result = object(
  {
    Messages: { type: 'array', items: outboxMessage },
    Spawns: { type: 'array', items: object({ Anchor: text, Tags: tagsSchema, Data: text }) },
    Assignments: { type: 'array', items: { type: 'object' } },
    Output: { description: 'Whatever the Process answered' },
    Error: text,
    GasUsed: whole,
  },
  ['Error'],
)
const place = { type: 'string', description: 'A cursor, or milliseconds since the Unix epoch' }
const resultsSchema = object({
  pageInfo: object({ hasNextPage: { type: 'boolean' } }),
  edges: { type: 'array', items: object({ node: result, cursor: text }) },
})
const docs = {
  about: {
    summary: 'Who computes.',
    tag: 'CU',
    answers: { 200: { description: 'Its address and time', schema: object({ address: text, timestamp: whole }) } },
  },
  result: {
    summary: 'What a message gave, by its id or its Assignment’s. Waits until it is evaluated.',
    tag: 'CU',
    query: {
      'process-id': { description: 'The Process.', schema: idSchema, required: true },
      'no-busy': { description: 'Accepted; this unit never answers busy.', schema: text },
    },
    answers: { 200: { description: 'Its outbox and output', schema: result } },
  },
  results: {
    summary: 'What the messages of a Process gave, those that failed left out. Pages both ways.',
    tag: 'CU',
    query: {
      from: { description: 'After this place.', schema: place },
      to: { description: 'Up to this place.', schema: place },
      sort: { description: 'ASC unless told; a cursor brings its own.', schema: { enum: ['ASC', 'DESC'] } },
      limit: { description: '25 unless told, 1000 at the most.', schema: { type: 'integer', minimum: 1 } },
    },
    answers: {
      200: {
        description: 'A page',
        schema: resultsSchema,
      },
    },
  },
  cron: {
    summary: 'What the cron messages of a Process gave, evaluated up to now; those that failed left out.',
    tag: 'CU',
    query: {
      from: { description: 'After this place.', schema: place },
      to: { description: 'Up to this place.', schema: place },
      limit: { description: '500 unless told, 1000 at the most.', schema: { type: 'integer', minimum: 1 } },
    },
    answers: { 200: { description: 'A page', schema: resultsSchema } },
  },
  state: {
    summary: 'The memory of a Process, for debugging. Nobody signs it.',
    tag: 'CU',
    query: {
      to: {
        description: 'As it was at that time, in milliseconds since the Unix epoch; the newest unless told.',
        schema: { type: 'integer', minimum: 0 },
      },
    },
    answers: {
      200: {
        description: 'Where it stands is in the headers Last-Timestamp, Last-Ordinate and Last-Block-Height',
        type: 'application/octet-stream',
        schema: text,
      },
    },
  },
  dryRun: {
    summary: 'Evaluates a message on a state of a Process and keeps nothing of it.',
    tag: 'CU',
    query: {
      'process-id': { description: 'The Process; else the Target of the message.', schema: idSchema },
      to: { description: 'On the state after that message; the newest unless told.', schema: idSchema },
    },
    body: {
      description: 'A message, not signed',
      schema: {
        ...object({ Id: text, Owner: text, From: text, Target: text, Anchor: text, Tags: tagsSchema, Data: text }, [
          ...['Id', 'Owner', 'From', 'Target', 'Anchor', 'Tags', 'Data'],
        ]),
        examples: [{ Owner: '1234', Tags: [{ name: 'Action', value: 'Info' }], Data: '' }],
      },
    },
    answers: { 200: { description: 'Its outbox and output', schema: result } },
  },
} as const satisfies Record<string, RouteDoc>

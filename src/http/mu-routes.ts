import type { FastifyReply, FastifyRequest } from 'fastify'
import { toBase64Url } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import type { AssignRequest, Messenger, Scheduler } from '../ports/units.ts'
import { verifyDataItem } from '../protocol/data-item.ts'
import { parsePromise } from '../protocol/delivery-promise.ts'
import { type MessageId, type ProcessId, parseNonce } from '../protocol/ids.ts'
import { assignDocs, assignQuery } from './assign-query.ts'
import { httpFailure } from './http-status.ts'
import { tooManyFilters, traceDocs, traces, tracesQuery, tracesSchema } from './mu-traces.ts'
import { idSchema, itemSchema, object, type RouteDoc, text, whole } from './openapi.ts'
import { bodyOf, param, pathId, requiredId, whileWaiting } from './request.ts'
import type { Routes } from './server.ts'

export interface MuRoutesDeps {
  /** This node's, or one that passes on. */
  readonly messenger: Messenger
  /** For any Process of the network. */
  readonly scheduler: Scheduler
}
export interface ItemLimit {
  /** Largest signed item, in bytes. */
  readonly maxItemBytes: number
}

/** The MU as AO clients call it: `MU_URL` is the node's URL and `/mu`. Source of the paths: compat.md section C. */
export const muRoutes =
  ({ messenger, scheduler }: MuRoutesDeps, { maxItemBytes }: ItemLimit): Routes =>
  server => {
    server.register(
      async mu => {
        mu.get('/', { config: { doc: docs.name } }, async (request, reply) => {
          const twice = tooManyFilters(request)
          if (twice !== undefined) return reply.code(422).send(httpFailure(twice).body)
          const query = tracesQuery(request)
          if (query === undefined) return reply.type('text/plain').send('ao messenger unit')
          return traces({ messenger, scheduler }, query, whileWaiting(reply, submitMs))
        })
        // One byte over the limit comes in, so that the item's own check says what is too large.
        mu.post('/', { config: { doc: docs.submit }, bodyLimit: maxItemBytes + 1 }, async (request, reply) => {
          const assign = assignQuery(request)
          if (assign !== undefined) return assignItem(assign, reply)
          return param(request, 'promise') === undefined ? submit(request, reply) : promise(request, reply)
        })
        mu.post('/push/:id/:part', { config: { doc: docs.push } }, async (request, reply) => {
          const message = pathId<MessageId>(request)
          const part = parseNonce((request.params as { readonly part: string }).part, 'part')
          if (param(request, 'custom-cu') !== undefined) throw noCustomCu()
          const process = requiredId<ProcessId>(request, 'process-id')
          await messenger.crank(process, message, { ...whileWaiting(reply, submitMs), part })
          return reply.code(202).send({ message: `Processing part ${part} of the outbox`, id: message })
        })
        mu.post('/monitor/:id', { config: { doc: docs.monitor } }, async (request, reply) => {
          await messenger.monitor(await monitored(request), whileWaiting(reply, submitMs))
          return reply.type('text/plain').send('Monitoring process')
        })
        mu.delete('/monitor/:id', { config: { doc: docs.unmonitor } }, async (request, reply) => {
          await messenger.unmonitor(await monitored(request), whileWaiting(reply, submitMs))
          return reply.type('text/plain').send('Process deleted')
        })
      },
      { prefix: '/mu' },
    )

    async function submit(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
      const { message } = await messenger.submit(bodyOf(request), whileWaiting(reply, submitMs))
      return reply.code(202).send({ message: 'Processing DataItem', id: message })
    }

    async function promise(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
      const item = await messenger.promise(bodyOf(request), whileWaiting(reply, submitMs))
      const { message: id, deadline } = parsePromise(item)
      return reply.code(202).send({ message: 'Promised', id, deadline, promise: toBase64Url(item.raw) })
    }

    async function assignItem(request: AssignRequest, reply: FastifyReply): Promise<FastifyReply> {
      const { id } = await messenger.assign(request, whileWaiting(reply, submitMs))
      return reply.code(202).send({ message: 'Processing Assignment', id })
    }
  }

/** An SU answers after a disk sync; one that was named but is not known yet may take seconds to show up. */
const submitMs = 60_000

/** The Process of the path, which the signed item of the body has as its target. @throws AoError `INVALID_DATA_ITEM` */
async function monitored(request: FastifyRequest): Promise<ProcessId> {
  const process = pathId<ProcessId>(request)
  const { target } = await verifyDataItem(bodyOf(request), { maxBytes: maxMonitorBytes })
  if (target === process) return process
  throw new AoError(
    'INVALID_DATA_ITEM',
    'the signed item is for another Process',
    { process, target },
    { hint: 'Sign an item whose target is the Process.' },
  )
}

const noCustomCu = (): AoError =>
  new AoError(
    'UNSUPPORTED',
    'results of a Compute Unit of your choice are not pushed',
    {},
    { hint: 'Leave out custom-cu: the network finds one.' },
  )

/** It says nothing but its target. */
const maxMonitorBytes = 64 * 1024

const accepted = object({ message: text, id: idSchema })
const taken = object({ message: text, id: idSchema, deadline: { type: 'integer' }, promise: text }, [
  'deadline',
  'promise',
])
const promiseDocs = {
  promise: {
    description:
      'With any value: answers at once, before the message is ordered, with a signed Delivery-Promise (base64url) that it will be by the block height `deadline`.',
    schema: text,
  },
}
const monitorBody = {
  description: 'A signed item with the Process as target',
  type: 'application/octet-stream',
  schema: itemSchema,
}
const docs = {
  name: {
    summary: 'What this is; with debug, how far messages are pushed.',
    tag: 'MU',
    query: traceDocs,
    answers: { 200: { description: 'With debug; else the text `ao messenger unit`', schema: tracesSchema } },
  },
  submit: {
    summary: 'Takes a signed Message or Process, has it ordered, and pushes what it sets off.',
    tag: 'MU',
    query: { ...assignDocs, ...promiseDocs },
    body: { description: 'A signed ANS-104 data item', type: 'application/octet-stream', schema: itemSchema },
    answers: { 202: { description: 'It is ordered, or promised to be', schema: taken } },
  },
  push: {
    summary:
      'Pushes one part of what a message sent, unless it is pushed: its messages count from 0, then spawns, then assignments.',
    tag: 'MU',
    path: { part: whole },
    query: { 'process-id': { description: 'The Process of the message.', schema: idSchema, required: true } },
    answers: { 202: { description: 'It is queued', schema: accepted } },
  },
  monitor: {
    summary: 'From now on pushes what the cron messages of a Process send.',
    tag: 'MU',
    body: monitorBody,
    answers: { 200: { description: 'Monitoring process', type: 'text/plain', schema: text } },
  },
  unmonitor: {
    summary: 'Ends monitoring.',
    tag: 'MU',
    body: monitorBody,
    answers: { 200: { description: 'Process deleted', type: 'text/plain', schema: text } },
  },
} as const satisfies Record<string, RouteDoc>

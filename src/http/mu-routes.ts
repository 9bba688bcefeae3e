import type { FastifyReply, FastifyRequest } from 'fastify'
import { AoError } from '../lib/errors.ts'
import type { AssignRequest, Messenger } from '../ports/units.ts'
import { assignDocs, assignQuery } from './assign-query.ts'
import { idSchema, itemSchema, object, type RouteDoc, text } from './openapi.ts'
import { bodyOf, whileWaiting } from './request.ts'
import type { Routes } from './server.ts'

export interface MuRoutesDeps {
  /** This node's, or one that passes on. */
  readonly messenger: Messenger
}
export interface ItemLimit {
  /** Largest signed item, in bytes. */
  readonly maxItemBytes: number
}

/** The MU as AO clients call it: `MU_URL` is the node's URL and `/mu`. Source of the paths: compat.md section C. */
export const muRoutes =
  ({ messenger }: MuRoutesDeps, { maxItemBytes }: ItemLimit): Routes =>
  server => {
    server.register(
      async mu => {
        mu.get('/', { config: { doc: docs.name } }, (_request, reply) =>
          reply.type('text/plain').send('ao messenger unit'),
        )
        // One byte over the limit comes in, so that the item's own check says what is too large.
        mu.post('/', { config: { doc: docs.submit }, bodyLimit: maxItemBytes + 1 }, async (request, reply) => {
          const assign = assignQuery(request)
          return assign === undefined ? submit(request, reply) : assignItem(assign, reply)
        })
        for (const method of ['POST', 'DELETE'] as const) {
          const doc = method === 'POST' ? docs.monitor : docs.unmonitor
          mu.route({ method, url: '/monitor/:id', config: { doc }, handler: refuseMonitor })
        }
      },
      { prefix: '/mu' },
    )

    async function submit(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
      const { message } = await messenger.submit(bodyOf(request), whileWaiting(reply, submitMs))
      return reply.code(202).send({ message: 'Processing DataItem', id: message })
    }

    async function assignItem(request: AssignRequest, reply: FastifyReply): Promise<FastifyReply> {
      const { id } = await messenger.assign(request, whileWaiting(reply, submitMs))
      return reply.code(202).send({ message: 'Processing Assignment', id })
    }
  }

/** An SU answers after a disk sync; one that was named but is not known yet may take seconds to show up. */
const submitMs = 60_000

async function refuseMonitor(): Promise<never> {
  throw new AoError(
    'UNSUPPORTED',
    'this network does not run cron messages yet, so there is nothing to monitor',
    {},
    { hint: 'Messages and what they set off are pushed without it.' },
  )
}

const accepted = object({ message: text, id: idSchema })
const docs = {
  name: {
    summary: 'What this is.',
    tag: 'MU',
    answers: { 200: { description: 'ao messenger unit', type: 'text/plain', schema: text } },
  },
  submit: {
    summary: 'Takes a signed Message or Process, has it ordered, and pushes what it sets off.',
    tag: 'MU',
    query: assignDocs,
    body: { description: 'A signed ANS-104 data item', type: 'application/octet-stream', schema: itemSchema },
    answers: { 202: { description: 'It is ordered', schema: accepted } },
  },
  monitor: {
    summary: 'Asks for the cron messages of a Process to be pushed. Not supported yet.',
    tag: 'MU',
    answers: {},
  },
  unmonitor: { summary: 'Ends monitoring. Not supported yet.', tag: 'MU', answers: {} },
} as const satisfies Record<string, RouteDoc>

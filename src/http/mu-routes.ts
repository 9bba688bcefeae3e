import type { FastifyReply, FastifyRequest } from 'fastify'
import { AoError } from '../lib/errors.ts'
import type { Messenger } from '../ports/units.ts'
import { idSchema, itemSchema, object, type RouteDoc, text } from './openapi.ts'
import { bodyOf, param, whileWaiting } from './request.ts'
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
          refuseAssign(request)
          return submit(request, reply)
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
  }

/** An SU answers after a disk sync; one that was named but is not known yet may take seconds to show up. */
const submitMs = 60_000

/** `process-id` and `assign` ask for an item that is on Arweave already to be ordered in a Process. */
export function refuseAssign(request: FastifyRequest): void {
  const [process, assign] = [param(request, 'process-id'), param(request, 'assign')]
  if (process === undefined && assign === undefined) return
  if (process === undefined || assign === undefined) {
    throw new AoError(
      'INVALID_ARGUMENT',
      'You must set both process-id and assign to send an assignment, not just one',
      { given: process === undefined ? 'assign' : 'process-id' },
      { hint: 'Send ?process-id=…&assign=… without a body, or a signed item without either.' },
    )
  }
  throw new AoError(
    'UNSUPPORTED',
    'assigning an item that exists already is not supported by this network yet',
    { process: process.slice(0, 64), assign: assign.slice(0, 64) },
    { hint: 'Send its data in a message of its own.' },
  )
}

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
    query: {
      'process-id': { description: 'With assign: the Process to order an existing item in.', schema: idSchema },
      assign: { description: 'With process-id: the item.', schema: idSchema },
    },
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

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Clock } from '../lib/clock.ts'
import { AoError } from '../lib/errors.ts'
import type { Json } from '../lib/json.ts'
import type { Scheduler } from '../ports/units.ts'
import type { Assignment, BlockAnchor, ScheduledMessage } from '../protocol/assignment.ts'
import { verifyDataItem } from '../protocol/data-item.ts'
import type { Address, Id, MessageId, ProcessId } from '../protocol/ids.ts'
import { parseProcessSpec } from '../protocol/message.ts'
import { assignQuery } from './assign-query.ts'
import type { ItemLimit } from './mu-routes.ts'
import { bodyOf, idParam, limitParam, numberParam, param, pathId, whileWaiting } from './request.ts'
import { type PageQuery, schedulePage } from './schedule-page.ts'
import type { Routes } from './server.ts'
import { suDocs as docs } from './su-docs.ts'
import { nodeToJson, paddedHeight, processToJson } from './su-json.ts'

export interface SuRoutesDeps {
  /** For any Process of the network. */
  readonly scheduler: Scheduler
  /** Who schedules when nobody is named: this node if it is an SU, else one it knows. */
  readonly address: () => Address
  readonly head: () => Promise<BlockAnchor>
  readonly clock: Clock
}

/** The SU as AO clients and units call it: its URL is the node's and `/su`. Source of the shapes: compat.md section B. */
export const suRoutes =
  (deps: SuRoutesDeps, limits: ItemLimit): Routes =>
  server => {
    server.register(async su => registerAll(su, deps, limits), { prefix: '/su' })
  }

function registerAll(su: FastifyInstance, deps: SuRoutesDeps, { maxItemBytes }: ItemLimit): void {
  const { scheduler, clock } = deps

  su.get('/', { config: { doc: docs.about } }, async (request, reply) => {
    const process = idParam<ProcessId>(request, 'process-id')
    const item = process === undefined ? undefined : await scheduler.process(process, whileWaiting(reply, lookupMs))
    const address = item === undefined ? deps.address() : parseProcessSpec(item.tags).scheduler
    return { timestamp: String(clock.now()), address }
  })

  su.get('/health', { config: { doc: docs.health } }, (_request, reply) => reply.type('text/plain').send('OK'))

  su.get('/timestamp', { config: { doc: docs.timestamp } }, async () => ({
    timestamp: String(clock.now()),
    block_height: paddedHeight((await deps.head()).height),
  }))

  su.post('/', { config: { doc: docs.schedule }, bodyLimit: maxItemBytes + 1 }, async (request, reply) => {
    const assign = assignQuery(request)
    if (assign !== undefined) {
      const { id, timestamp } = await scheduler.assign(assign, whileWaiting(reply, scheduleMs))
      return { id, timestamp }
    }
    const item = await verifyDataItem(bodyOf(request), { maxBytes: maxItemBytes })
    const { timestamp } = await scheduler.schedule(item, whileWaiting(reply, scheduleMs))
    return { id: item.id, timestamp }
  })

  su.get('/processes/:id', { config: { doc: docs.process } }, async (request, reply) => {
    const process = pathId<ProcessId>(request)
    const options = whileWaiting(reply, lookupMs)
    const item = await scheduler.process(process, options)
    return processToJson(item, await scheduler.assignment(process, item.id, options))
  })

  su.get('/:id/latest', { config: { doc: docs.latest } }, async (request, reply) => {
    const process = pathId<ProcessId>(request)
    const newest = await scheduler.assignment(process, 'newest', whileWaiting(reply, lookupMs))
    if (newest.nonce > 0) return rowJson(request, reply, newest)
    throw new AoError('UNKNOWN_MESSAGE', 'Latest message not available', { process }, { hint: 'It has none yet.' })
  })

  su.get('/:id', { config: { doc: docs.read } }, async (request, reply) => {
    const id = pathId<ProcessId>(request)
    const process = idParam<ProcessId>(request, 'process-id') ?? id
    if (process === id) return page(request, reply, process)
    const at = id as Id as MessageId
    return rowJson(request, reply, await scheduler.assignment(process, at, whileWaiting(reply, lookupMs)))
  })

  async function page(request: FastifyRequest, reply: FastifyReply, process: ProcessId): Promise<Json> {
    const query = pageQuery(request)
    const { rows, hasNext } = await schedulePage(scheduler, { process, query }, whileWaiting(reply, pageMs))
    const cursorOf = ({ assignment }: ScheduledMessage): string => String(assignment[query.by])
    const shown = shownBy(request)
    return {
      page_info: { has_next_page: hasNext },
      edges: rows.map(row => ({ node: nodeToJson(row, shown), cursor: cursorOf(row) })),
    }
  }

  async function rowJson(request: FastifyRequest, reply: FastifyReply, at: Assignment): Promise<Json> {
    const { process, nonce } = at
    const shown = shownBy(request)
    for await (const row of scheduler.read(process, { from: nonce, to: nonce }, whileWaiting(reply, pageMs))) {
      return nodeToJson(row, shown)
    }
    throw new AoError('UNKNOWN_MESSAGE', 'the scheduler does not show this message', { process, nonce })
  }
}

/** `from-nonce=-1` begins with the Process, as no `from` does. */
function pageQuery(request: FastifyRequest): PageQuery {
  const limit = limitParam(request, { initial: 100, max: 1000 })
  const [fromNonce, toNonce] = [param(request, 'from-nonce'), numberParam(request, 'to-nonce')]
  if (fromNonce === undefined && toNonce === undefined) {
    return { by: 'timestamp', from: numberParam(request, 'from'), to: numberParam(request, 'to'), limit }
  }
  const from = fromNonce === '-1' ? undefined : numberParam(request, 'from-nonce')
  return { by: 'nonce', from, to: toNonce, limit }
}

const shownBy = (request: FastifyRequest) => ({ encodeAnchor: param(request, 'show-anchor') !== undefined })

const lookupMs = 30_000
const scheduleMs = 60_000
const pageMs = 120_000

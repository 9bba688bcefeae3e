import type { FastifyRequest } from 'fastify'
import type { Compute, ResultBound, Scheduler } from '../ports/units.ts'
import { type Nonce, nextNonce, type ProcessId, parseNonce } from '../protocol/ids.ts'
import { resultToJson } from '../protocol/result.ts'
import { EventStreams, type LiveEvent } from './event-stream.ts'
import { type RouteDoc, text } from './openapi.ts'
import { param, pathId } from './request.ts'
import { cursorOf, parsePlace } from './result-cursor.ts'
import type { Routes } from './server.ts'
import { nodeToJson } from './su-json.ts'

export interface LiveRoutesDeps {
  /** For any Process of the network. */
  readonly scheduler: Scheduler
  readonly compute: Compute
}

/** Schedules and results as they come, as server-sent events: a reader goes on from the last id it has. */
export const liveRoutes =
  ({ scheduler, compute }: LiveRoutesDeps, streams = new EventStreams()): Routes =>
  server => {
    server.get('/su/stream/:id', { config: { doc: docs.schedule } }, async (request, reply) => {
      const process = pathId<ProcessId>(request)
      const last = lastOf(request)
      const { nonce } = await scheduler.assignment(process, 'newest')
      const from = nextNonce(last === undefined ? nonce : parseNonce(last, 'from'))
      await streams.send(reply, signal => rows(scheduler, { process, from }, signal))
      return reply
    })
    server.get('/cu/stream/:id', { config: { doc: docs.results } }, async (request, reply) => {
      const process = pathId<ProcessId>(request)
      const last = lastOf(request)
      const { nonce } = await scheduler.assignment(process, 'newest')
      const after = last === undefined ? { nonce } : parsePlace(last, 'from').bound
      await streams.send(reply, signal => results({ scheduler, compute }, { process, after, nonce }, signal))
      return reply
    })
  }

async function* rows(
  scheduler: Scheduler,
  { process, from }: { readonly process: ProcessId; readonly from: Nonce },
  signal: AbortSignal,
): AsyncIterable<LiveEvent> {
  for await (const row of scheduler.read(process, { from, follow: true }, { signal })) {
    yield { id: String(row.assignment.nonce), data: nodeToJson(row, { encodeAnchor: false }) }
  }
}

const pageRows = 100

/** What is there after the place, and then after each message that comes, cron messages before it among them. */
async function* results(
  { scheduler, compute }: LiveRoutesDeps,
  at: { readonly process: ProcessId; readonly after: ResultBound; readonly nonce: Nonce },
  signal: AbortSignal,
): AsyncIterable<LiveEvent> {
  const { process, nonce } = at
  let after = at.after
  async function* news(): AsyncIterable<LiveEvent> {
    for (let more = true; more; ) {
      const query = { after, descending: false, limit: pageRows }
      const page = await compute.results(process, query, { signal })
      for (const row of page.rows) {
        const cursor = cursorOf(row, 'ASC')
        yield { id: cursor, data: { node: resultToJson(row.result), cursor } }
        after = { nonce: row.result.nonce, cron: row.result.cron }
      }
      more = page.hasNext
    }
  }
  yield* news()
  for await (const _ of scheduler.read(process, { from: nextNonce(nonce), follow: true }, { signal })) yield* news()
}

/** Browsers send the header when they reconnect; others may give the parameter. */
function lastOf(request: FastifyRequest): string | undefined {
  const header = request.headers['last-event-id']
  return (typeof header === 'string' && header !== '' ? header : undefined) ?? param(request, 'from')
}

const from = { description: 'Go on after that id; without it from now on.', schema: text }
const answer = (description: string) => ({ 200: { description, type: 'text/event-stream', schema: text } }) as const
const docs = {
  schedule: {
    summary: 'The schedule of a Process as it grows, as server-sent events. The id of an event is the nonce.',
    tag: 'SU',
    query: { from },
    answers: answer('One event for each row, as the SU shows it; `end` with a coded failure'),
  },
  results: {
    summary: 'The results of a Process as they come, as server-sent events. The id of an event is the cursor.',
    tag: 'CU',
    query: { from },
    answers: answer('One event for each result; `end` with a coded failure'),
  },
} as const satisfies Record<string, RouteDoc>

import type { FastifyRequest } from 'fastify'
import { followResults } from '../ports/follow-results.ts'
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
    server.get('/su/stream/:id', { ...live, config: { doc: docs.schedule } }, async (request, reply) => {
      const process = pathId<ProcessId>(request)
      const last = lastOf(request)
      const { nonce } = await scheduler.assignment(process, 'newest')
      const from = nextNonce(last === undefined ? nonce : parseNonce(last, 'from'))
      await streams.send(reply, signal => rows(scheduler, { process, from }, signal))
      return reply
    })
    server.get('/cu/stream/:id', { ...live, config: { doc: docs.results } }, async (request, reply) => {
      const process = pathId<ProcessId>(request)
      const last = lastOf(request)
      await scheduler.assignment(process, 'newest') // an unknown Process is answered as such
      const after = last === undefined ? undefined : parsePlace(last, 'from').bound
      await streams.send(reply, signal => results({ scheduler, compute }, { process, after }, signal))
      return reply
    })
  }

/** No HEAD: it would hold a stream open and show nothing of it. */
const live = { exposeHeadRoute: false } as const

async function* rows(
  scheduler: Scheduler,
  { process, from }: { readonly process: ProcessId; readonly from: Nonce },
  signal: AbortSignal,
): AsyncIterable<LiveEvent> {
  for await (const row of scheduler.read(process, { from, follow: true }, { signal })) {
    yield { id: String(row.assignment.nonce), data: nodeToJson(row, { encodeAnchor: false }) }
  }
}

async function* results(
  units: LiveRoutesDeps,
  at: { readonly process: ProcessId; readonly after: ResultBound | undefined },
  signal: AbortSignal,
): AsyncIterable<LiveEvent> {
  for await (const row of followResults(units, at, { signal })) {
    const cursor = cursorOf(row, 'ASC')
    yield { id: cursor, data: { node: resultToJson(row.result), cursor } }
  }
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

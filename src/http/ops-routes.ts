import type { Json } from '../lib/json.ts'
import { object, type RouteDoc, text } from './openapi.ts'
import type { Routes } from './server.ts'

/** What operators and supervisors ask of a node. */
export interface OpsSource {
  /** Why the node cannot serve yet; undefined when it can. */
  notReady(): string | undefined
  status(): Promise<{ readonly [key: string]: Json }>
  metricsText(): Promise<string>
}

/** `/health` says the program runs, `/ready` that it serves, `/status` what it does, `/metrics` how much. */
export const opsRoutes =
  (source: OpsSource): Routes =>
  server => {
    server.get('/health', { config: { doc: docs.health } }, () => ({ status: 'ok' }))
    server.get('/ready', { config: { doc: docs.ready } }, (_request, reply) => {
      const reason = source.notReady()
      if (reason === undefined) return reply.send({ status: 'ready' })
      return reply
        .code(503)
        .header('retry-after', '1')
        .send({ error: reason, code: 'NOT_READY', facts: {}, hint: 'Ask again in a moment.' })
    })
    server.get('/status', { config: { doc: docs.status } }, () => source.status())
    server.get('/metrics', { config: { doc: docs.metrics } }, async (_request, reply) =>
      reply.type('text/plain; version=0.0.4; charset=utf-8').send(await source.metricsText()),
    )
  }

const answer = (description: string): RouteDoc['answers'] => ({
  200: { description, schema: object({ status: text }) },
})
const docs = {
  health: { summary: 'Whether the program runs.', tag: 'Node', answers: answer('It does') },
  ready: { summary: 'Whether the node serves.', tag: 'Node', answers: answer('It does; 503 with the reason if not') },
  status: {
    summary: 'What the node does.',
    tag: 'Node',
    answers: { 200: { description: 'Addresses, roles and counts', schema: { type: 'object' } } },
  },
  metrics: {
    summary: 'Numbers for Prometheus.',
    tag: 'Node',
    answers: { 200: { description: 'Text format 0.0.4', type: 'text/plain', schema: text } },
  },
} as const satisfies Record<string, RouteDoc>

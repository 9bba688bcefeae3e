import type { Json } from '../lib/json.ts'
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
    server.get('/health', () => ({ status: 'ok' }))
    server.get('/ready', (_request, reply) => {
      const reason = source.notReady()
      if (reason === undefined) return reply.send({ status: 'ready' })
      return reply.code(503).send({ error: reason, code: 'NOT_READY', facts: {}, hint: 'Ask again in a moment.' })
    })
    server.get('/status', () => source.status())
    server.get('/metrics', async (_request, reply) =>
      reply.type('text/plain; version=0.0.4; charset=utf-8').send(await source.metricsText()),
    )
  }

import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { AoError } from '../lib/errors.ts'
import type { Telemetry } from '../lib/telemetry.ts'
import type { Gateway } from './gateway.ts'
import { registerGraphql } from './graphql.ts'
import { errorAnswer, unknown } from './http-errors.ts'
import { registerChainRoutes } from './routes-chain.ts'
import { registerDataRoutes } from './routes-data.ts'
import { registerUploadRoutes } from './routes-upload.ts'
import { maxDataBytes, maxDataInBody } from './transaction.ts'

/** Requests answered at one time; more are refused. */
const maxRequests = 512
/** The data of a transaction in base64url, and room for its other fields. */
const jsonLimit = Math.ceil((maxDataInBody * 4) / 3) + 64 * 1024
/** An item's header is far smaller than this. */
const itemLimit = maxDataBytes + 64 * 1024

/** The gateway's web server, not yet listening: routes of arweave-js, AO clients and bundlers, open to every origin. */
export async function gatewayServer({ log }: Telemetry, gateway: Gateway): Promise<FastifyInstance> {
  const app = Fastify({
    forceCloseConnections: true,
    requestTimeout: 120_000,
    routerOptions: { maxParamLength: 256 },
    frameworkErrors: (error, _request, reply) => {
      const { status, body } = errorAnswer(error)
      void (reply as FastifyReply).code(status).headers(openHeaders).send(body)
    },
  })
  limitRequests(app)
  openToAllOrigins(app)
  parseBodies(app)
  app.setErrorHandler((error, request, reply) => {
    const { status, body } = errorAnswer(error)
    const facts = { method: request.method, route: request.routeOptions.url, code: body.code }
    if (status >= 500) log.error('devnet_request_failed', { ...facts, cause: error })
    else log.debug('devnet_request_refused', facts)
    return reply.code(status).send(body)
  })
  app.setNotFoundHandler(request => {
    throw unknown('path', request.url)
  })
  registerChainRoutes(app, gateway)
  registerUploadRoutes(app, gateway)
  await registerGraphql(app, gateway)
  registerDataRoutes(app, gateway)
  return app
}

/** AO's messenger takes every answer without a `type` header for an error of the gateway. */
const openHeaders = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': '*',
  type: 'gateway',
}

function openToAllOrigins(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(openHeaders)
    if (request.method !== 'OPTIONS') return
    const wanted = request.headers['access-control-request-headers'] ?? '*'
    return reply
      .code(204)
      .header('access-control-allow-methods', 'GET, HEAD, POST, OPTIONS')
      .header('access-control-allow-headers', wanted)
      .header('access-control-max-age', '86400')
      .send()
  })
  app.options('/*', async (_request, reply) => reply.code(204).send())
}

function limitRequests(app: FastifyInstance): void {
  let open = 0
  app.addHook('onRequest', async (_request, reply) => {
    open++
    reply.raw.once('close', () => open--)
    if (open > maxRequests) {
      const hint = 'Send again a little later.'
      throw new AoError('OVERLOADED', 'the devnet has too many requests', { limit: maxRequests }, { hint })
    }
  })
}

/** JSON is JSON; any other body is the bytes of an item. */
function parseBodies(app: FastifyInstance): void {
  const json = app.getDefaultJsonParser('error', 'ignore')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string', bodyLimit: jsonLimit }, json)
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: itemLimit }, (_request, body, done) => done(null, body))
}

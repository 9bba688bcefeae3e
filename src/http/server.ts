import fastify, { type FastifyInstance } from 'fastify'
import type { Component } from '../lib/component.ts'
import { AoError } from '../lib/errors.ts'
import { bearsToken, memberHint } from '../lib/member-token.ts'
import { hostAndPort, reachableHost } from '../lib/reachable-host.ts'
import type { Telemetry } from '../lib/telemetry.ts'
import { allowAllOrigins } from './cors.ts'
import { serveDocsPage } from './docs-page.ts'
import { httpFailure } from './http-status.ts'
import { serveOpenApi } from './openapi.ts'

export interface HttpServerOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** Of a private network: what every request has to show but those for `/health` and `/ready`. */
  readonly memberToken?: string | undefined
  /** Of the program, for the description of the API. */
  readonly version: string
}

/** A group of routes that registers itself on the server. */
export type Routes = (server: FastifyInstance) => void

/** The node's one HTTP server: body limits, coded errors, orderly stop. */
export class HttpServer implements Component {
  readonly name = 'http'
  readonly #options: HttpServerOptions
  readonly #telemetry: Telemetry
  readonly #routes: readonly Routes[]
  #server: FastifyInstance | undefined

  constructor(deps: Telemetry & { readonly routes: readonly Routes[] }, options: HttpServerOptions) {
    this.#telemetry = deps
    this.#routes = deps.routes
    this.#options = options
  }

  /** `http://host:port`, as others reach it, once started. */
  get url(): string {
    const address = this.#server?.server.address()
    const port = typeof address === 'object' && address !== null ? address.port : this.#options.port
    return `http://${hostAndPort(reachableHost(this.#options.host), port)}`
  }

  /** @throws AoError `PORT_IN_USE` */
  async start(): Promise<void> {
    if (this.#server !== undefined) return
    const server = fastify({
      bodyLimit: maxBodyBytes,
      requestTimeout: 60_000,
      forceCloseConnections: true,
      // Clients put a slash behind the URL of a unit or not, and append paths that begin with one.
      routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true },
    })
    // Bodies stay bytes, whatever their type says: most are signed items.
    server.removeAllContentTypeParsers()
    server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    allowAllOrigins(server)
    const { memberToken } = this.#options
    if (memberToken !== undefined) membersOnly(server, memberToken)
    serveOpenApi(server, this.#options)
    serveDocsPage(server)
    server.setErrorHandler((error, request, reply) => {
      const failure = httpFailure(coded(error))
      if (failure.status === 500)
        this.#telemetry.log.error('request-failed', { route: request.routeOptions.url, error })
      if (failure.status === 429 || failure.status === 503) reply.header('retry-after', retryAfterSeconds)
      return reply.code(failure.status).send(failure.body)
    })
    server.setNotFoundHandler((request, reply) =>
      reply.code(404).send({
        error: `there is nothing at ${request.method} ${request.url.slice(0, 200)}`,
        code: 'INVALID_ARGUMENT',
        facts: {},
        hint: 'GET /openapi.json lists what this port answers; /docs shows it.',
      }),
    )
    for (const register of this.#routes) register(server)
    const { host, port } = this.#options
    try {
      await server.listen({ host, port })
    } catch (cause) {
      await server.close()
      throw listenFailure(cause, host, port)
    }
    this.#server = server
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    await server?.close()
  }
}

/** What tells a supervisor that the program lives; it says nothing else. */
const openPaths = new Set(['/health', '/ready'])

/** Browsers ask whether they may ask (OPTIONS) without the header: that is answered to all. */
function membersOnly(server: FastifyInstance, memberToken: string): void {
  server.addHook('onRequest', async ({ method, url, headers }) => {
    if (method === 'OPTIONS' || openPaths.has(url) || bearsToken(headers.authorization, memberToken)) return
    throw new AoError('UNAUTHENTICATED', 'this is a private network', {}, { hint: memberHint })
  })
}

/** Of routes that set no limit of their own. */
const maxBodyBytes = 12 * 1024 * 1024

/** Full queues drain and nodes start within about that time. */
const retryAfterSeconds = '2'

/** The framework's own refusals are the caller's mistakes; all else is ours. */
function coded(error: unknown): unknown {
  const status = (error as { statusCode?: unknown }).statusCode
  if (error instanceof AoError || typeof status !== 'number' || status >= 500) return error
  const message = error instanceof Error ? error.message : 'bad request'
  return new AoError(status === 413 ? 'TOO_LARGE' : 'INVALID_ARGUMENT', message, {}, { cause: error })
}

function listenFailure(cause: unknown, host: string, port: number): unknown {
  const code = (cause as { code?: unknown }).code
  if (code !== 'EADDRINUSE' && code !== 'EACCES' && code !== 'EADDRNOTAVAIL') return cause
  return new AoError(
    'PORT_IN_USE',
    `cannot listen for HTTP on ${host}:${port}`,
    { host, port, reason: code },
    { cause, hint: 'Another program has it, or it is not yours to take: choose another with --http-port.' },
  )
}

import { Readable } from 'node:stream'
import { itemSchema, type RouteDoc } from './openapi.ts'
import { bodyOf } from './request.ts'
import type { Routes } from './server.ts'

/** Answers one gRPC-Web call. Shapes: `WebBridge` in the network layer. */
export interface WebCallSource {
  call(path: string, body: Uint8Array, options: { readonly signal: AbortSignal }): AsyncIterable<Uint8Array>
}

const services = ['ao.v1.Scheduler', 'ao.v1.Compute', 'ao.v1.Messenger', 'ao.v1.Node'] as const

/** The node's gRPC services for callers who have HTTP only, web pages among them: gRPC-Web, in binary. */
export const grpcWebRoutes =
  (source: WebCallSource): Routes =>
  server => {
    for (const service of services) {
      const url = `/${service}/:method`
      server.post(url, { config: { doc } }, async (request, reply) => {
        const { method } = request.params as { readonly method: string }
        const gone = new AbortController()
        reply.raw.once('close', () => gone.abort())
        const rows = source.call(`/${service}/${method}`, bodyOf(request), gone)[Symbol.asyncIterator]()
        const first = await rows.next() // so that what cannot even begin is refused with a status of its own
        return reply.type(contentType).send(Readable.from(startingWith(first, rows)))
      })
    }
  }

const contentType = 'application/grpc-web+proto'

async function* startingWith<T>(first: IteratorResult<T>, rest: AsyncIterator<T>): AsyncGenerator<T> {
  try {
    for (let next = first; next.done !== true; next = await rest.next()) yield next.value
  } finally {
    await rest.return?.()
  }
}

const body = { description: 'gRPC-Web frames', type: contentType, schema: itemSchema } as const
const doc = {
  summary: 'A call of this gRPC service over HTTP, as gRPC-Web in binary. The .proto files are in the package.',
  tag: 'gRPC-Web',
  path: { method: { type: 'string', pattern: '^[A-Za-z]+$' } },
  body,
  answers: { 200: body },
} as const satisfies RouteDoc

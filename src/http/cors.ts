import type { FastifyInstance } from 'fastify'

/** AO clients run in web pages of any origin. Nothing here goes by cookies, so all origins may ask. */
export function allowAllOrigins(server: FastifyInstance): void {
  server.addHook('onRequest', (request, reply, done) => {
    reply.header('access-control-allow-origin', '*')
    reply.header(
      'access-control-expose-headers',
      'Retry-After, Location, Last-Timestamp, Last-Ordinate, Last-Block-Height',
    )
    if (request.method !== 'OPTIONS') return done()
    const asked = request.headers['access-control-request-headers']
    reply
      .code(204)
      .header('access-control-allow-methods', 'GET, HEAD, POST, DELETE, OPTIONS')
      .header('access-control-allow-headers', asked ?? '*')
      .header('access-control-max-age', maxAgeSeconds)
      .send()
  })
}

/** What browsers take at the most. */
const maxAgeSeconds = '86400'

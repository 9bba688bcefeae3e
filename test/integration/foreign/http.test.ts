import assert from 'node:assert/strict'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type ErrorCode, hasCode } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { ForeignHttp } from '../../../src/network/foreign/http.ts'

describe('network/foreign/http', () => {
  let server: Server
  let url: string
  let answer: RequestListener
  const clients: ForeignHttp[] = []
  const aClient = (options: ConstructorParameters<typeof ForeignHttp>[1] = {}): ForeignHttp => {
    const client = new ForeignHttp(silentTelemetry, { allowPrivate: true, ...options })
    clients.push(client)
    return client
  }
  const fails = (asking: Promise<unknown>, code: ErrorCode) => assert.rejects(asking, error => hasCode(error, code))
  const limits = { maxBytes: 1_000 }

  before(async () => {
    server = createServer((request, response) => answer(request, response))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  afterEach(() => {
    for (const client of clients.splice(0)) client.close()
  })

  it('follows 307 and 308 with the body, and no others with one', async () => {
    answer = (request, response) => {
      const { url: path = '' } = request
      const next = { '/a': 307, '/b': 308, '/c': 302 }[path]
      if (next !== undefined) {
        response.writeHead(next, { location: path === '/a' ? '/b' : path === '/b' ? '/end?x=1' : '/end' }).end()
        return
      }
      request.setEncoding('utf8').on('data', (text: string) => response.end(`${request.method} ${path} ${text}`))
    }
    const body = Buffer.from('hello')
    const found = await aClient().ask(`${url}/a`, { ...limits, body })
    assert.deepEqual(found, { status: 200, text: 'POST /end?x=1 hello' })
    assert.equal((await aClient().ask(`${url}/c`, { ...limits, body })).status, 302)
  })

  it('ends redirects that lead nowhere, or where it must not go', async () => {
    answer = (request, response) => {
      const location = request.url === '/out' ? 'file:///etc/passwd' : '/again'
      response.writeHead(307, { location }).end()
    }
    await fails(aClient().ask(`${url}/again`, limits), 'PEER_UNREACHABLE')
    await fails(aClient().ask(`${url}/out`, limits), 'NOT_ALLOWED')
  })

  it('goes to no private address unless it may', async () => {
    let asked = 0
    answer = (_request, response) => {
      asked++
      response.end('secret')
    }
    const client = aClient({ allowPrivate: false })
    await fails(client.ask(url, limits), 'NOT_ALLOWED')
    await fails(client.ask(url.replace('127.0.0.1', 'localhost'), limits), 'NOT_ALLOWED')
    assert.equal(asked, 0)
  })

  it('reads no more than it may, waits no longer than it may, and says who does not answer', async () => {
    answer = (_request, response) => response.end('x'.repeat(2_000))
    await fails(aClient().ask(url, limits), 'TOO_LARGE')
    answer = () => undefined
    await fails(aClient({ timeoutMs: 50 }).ask(url, limits), 'DEADLINE')
    answer = request => request.socket.destroy()
    await fails(aClient().ask(url, limits), 'PEER_UNREACHABLE')
  })
})

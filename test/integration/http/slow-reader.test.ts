import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { defaultEventStreamLimits, EventStreams, type LiveEvent } from '../../../src/http/event-stream.ts'
import { HttpServer } from '../../../src/http/server.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { eventually } from '../../support/eventually.ts'

const eventBytes = 64 * 1024
const filling = 'x'.repeat(eventBytes)
/** What two sockets of the system and the server's own buffer may hold between them. */
const mostHeldBytes = 32 * 1024 * 1024

describe('http: readers that are slow', function () {
  this.timeout(60_000)
  let http: HttpServer
  let made: number
  let ended: number
  const sockets: Socket[] = []

  /** As many events as anybody wants, from a number on, as fast as they are taken. */
  async function* endless(from: number, signal: AbortSignal): AsyncIterable<LiveEvent> {
    try {
      for (let i = from; !signal.aborted; i++) {
        made++
        yield { id: String(i), data: { i, filling } }
      }
    } finally {
      ended++
    }
  }

  beforeEach(async () => {
    made = 0
    ended = 0
    const streams = new EventStreams({ ...defaultEventStreamLimits, maxStreams: 1, stallMs: 1_000 })
    http = new HttpServer(
      {
        ...silentTelemetry,
        routes: [
          server =>
            void server.get('/events', async (request, reply) => {
              const last = (request.query as { from?: string }).from
              await streams.send(reply, signal => endless(last === undefined ? 0 : Number(last) + 1, signal))
              return reply
            }),
        ],
      },
      { host: '127.0.0.1', port: 0, version: 'test' },
    )
    await http.start()
  })
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    await http.stop()
  })

  const open = (path: string): Socket => {
    const { hostname, port } = new URL(http.url)
    const socket = connect(Number(port), hostname)
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`)
    return socket
  }
  const idsIn = (text: string): number[] =>
    [...text.matchAll(/(?:^|\n)id: ([0-9]+)\ndata: [^\n]+\n\n/g)].map(m => Number(m[1]))

  it('who takes nothing is given no more than the buffers hold, is let go, and leaves its place', async () => {
    const stuck = open('/events')
    stuck.pause()
    await eventually('its end', async () => ended === 1, 30_000)
    assert.ok(made * eventBytes < mostHeldBytes, `${made} events were made`)
    await eventually('room for another', async () => {
      const answer = await fetch(`${http.url}/events`)
      await answer.body?.cancel()
      return answer.status === 200
    })
  })

  it('who takes little at a time gets all in order, and goes on after a cut where it was', async () => {
    const slow = open('/events')
    let text = ''
    let taken = 0
    slow.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      taken += chunk.length
      slow.pause()
      setTimeout(() => slow.resume(), 1)
    })
    await eventually('some megabytes', async () => taken > 8 * 1024 * 1024, 30_000)
    assert.ok(made * eventBytes - taken < mostHeldBytes)
    slow.destroy()
    const seen = idsIn(text)
    assert.deepEqual(seen, [...seen.keys()])
    assert.ok(seen.length > 50)
    await eventually('its end', async () => ended === 1)
    const again = await eventually('a place', async () => {
      const answer = await fetch(`${http.url}/events?from=${seen.at(-1)}`)
      if (answer.status === 200) return answer
      await answer.body?.cancel()
    })
    const reader = again.body?.getReader()
    let next = ''
    while (idsIn(next).length === 0) next += Buffer.from((await reader?.read())?.value ?? []).toString()
    await reader?.cancel()
    assert.equal(idsIn(next)[0], seen.length)
  })
})

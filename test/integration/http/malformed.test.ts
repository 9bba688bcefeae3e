import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { opsRoutes } from '../../../src/http/ops-routes.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import { aMessage } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { SeededRandom, testSeed } from '../../support/random.ts'
import { type Chance, type Described, describedCalls, type Examples, type RawRequest } from './described-requests.ts'
import { HttpBench } from './http-bench.ts'
import { mutated } from './mutations.ts'

const rounds = 10_000
const atOnce = 30

/** Answers no more than its headers here: it goes on for ever. */
const endless = /text\/event-stream/

describe('http faces under malformed requests', function () {
  this.timeout(600_000)
  const seed = testSeed()
  const random = new SeededRandom(seed)
  let bench: HttpBench
  let calls: readonly Described[]
  before(async () => {
    const ops = opsRoutes({ notReady: () => undefined, status: async () => ({}), metricsText: async () => '' })
    bench = await HttpBench.start({ more: [ops] })
    const item = await bench.net.spawn(bench.node, 'parrot')
    const process = item.id
    const message = await aMessage(item, { data: 'well formed' })
    assert.equal((await bench.post('/mu', message.raw)).status, 202)
    calls = describedCalls(await bench.json('/openapi.json'), examplesOf(process, message))
  })
  after(() => bench.stop())

  it(`drawn from the description of the API never fail by the server's fault, nor leave anything (seed ${seed})`, async () => {
    assert.ok(calls.length > 30, 'the description names the calls')
    const held = await bench.connections() // by fetch, which keeps its own
    const tally = new Map(calls.map(({ name }) => [name, { asked: 0, served: 0, refused: 0 }]))
    const ask = async (call: Described, request: RawRequest): Promise<string> => {
      const answer = await exchange(bench.url, request)
      const asked = JSON.stringify({ ...request, body: request.body.toString('latin1').slice(0, 300) })
      assert.doesNotMatch(answer, /^HTTP\/1\.1 5(?!01)/, `${asked}\n${answer.slice(0, 500)}`)
      assert.match(answer, /^HTTP\/1\.1 \d{3}/, asked)
      const counts = tally.get(call.name)
      if (counts === undefined) throw new Error(call.name)
      counts.asked++
      if (/^HTTP\/1\.1 2/.test(answer)) counts.served++
      else if (/^HTTP\/1\.1 4/.test(answer)) counts.refused++
      return answer
    }
    for (const call of calls) {
      const request = call.wellFormed(leastAsked)
      const answer = await ask(call, request)
      assert.match(answer, /^HTTP\/1\.1 2/, `${call.name} as described: ${request.path}\n${answer.slice(0, 600)}`)
    }
    let heap = 0
    for (let done = 0; done < rounds; done += atOnce) {
      if (heap === 0 && done >= rounds / 2) heap = await heapAtRest()
      await Promise.all(
        Array.from({ length: atOnce }, async () => {
          const call = random.pick(calls)
          const way = random.below(8)
          if (way === 0) return ask(call, call.wellFormed(random))
          if (way <= 3) return ask(call, call.illTyped(random))
          return ask(call, mutated(call.wellFormed(random), random))
        }),
      )
    }
    assert.deepEqual(bench.faults, [])
    assert.match(await exchange(bench.url, { ...blank, path: '/cu' }), /^HTTP\/1\.1 200/)

    // It says something: each call was made often, and was served as well as refused.
    const all = [...tally]
    assert.deepEqual(
      all.filter(([, { asked, served }]) => asked < rounds / calls.length / 2 || served === 0),
      [],
    )
    assert.deepEqual(
      all.filter(([, { refused }]) => refused === 0),
      [],
    )
    const sum = (of: 'served' | 'refused') => all.reduce((total, [, counts]) => total + counts[of], 0)
    assert.ok(sum('refused') > rounds / 4 && sum('served') > rounds / 10, JSON.stringify(Object.fromEntries(tally)))

    await eventually('all connections to be closed', async () => (await bench.connections()) <= held, 30_000)
    const grown = (await heapAtRest()) - heap
    assert.ok(grown < maxGrowth, `the heap grew by ${grown} bytes over the second half of ${rounds} requests`)
  })

  it('answer bytes that are no HTTP with 400 or by closing', async () => {
    for (let i = 0; i < 50; i++) {
      const noise = random.bytes(1 + random.below(400))
      const answer = await raw(bench.url, Buffer.concat([noise, Buffer.from('\r\n\r\n')]))
      assert.match(answer, /^(HTTP\/1\.1 4|$)/, noise.toString('hex'))
    }
    assert.match(await exchange(bench.url, { ...blank, path: '/mu' }), /^HTTP\/1\.1 200/)
  })
})

const blank: RawRequest = { method: 'GET', path: '/', headers: [], body: Buffer.alloc(0) }

/** Leaves out what may be left out. */
const leastAsked: Chance = { below: () => 1, pick: list => list[0] as (typeof list)[number] }

/** A kilobyte that every third request leaves behind would be more. */
const maxGrowth = 2 * 1024 * 1024

function examplesOf(process: string, message: DataItem): Examples {
  const item = Buffer.from(message.raw)
  const dry = { Owner: '1234', Target: process, Data: 'x', Tags: [{ name: 'a', value: 'b' }] }
  return {
    values: {
      ...{ id: process, process, 'process-id': process, message: message.id, spawn: process, assign: process },
      ...{ results: 'results=0', rest: 'compute&Action=Info&X=a%2Fb', part: '0' },
    },
    special: { 'POST /mu/push/{id}/{part}': { id: message.id } },
    bodies: {
      'application/octet-stream': item,
      'application/ans104': item,
      'application/json': Buffer.from(JSON.stringify(dry)),
    },
  }
}

/** In bytes, once everything that nobody holds is gone. */
async function heapAtRest(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let i = 0; i < 3; i++) {
    await new Promise(resolve => setImmediate(resolve))
    collect()
  }
  return process.memoryUsage().heapUsed
}

function exchange(url: string, { method, path, headers, body }: RawRequest): Promise<string> {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'Host: x',
    'Connection: close',
    `Content-Length: ${body.length}`,
    ...headers,
    '',
    '',
  ]
  return raw(url, Buffer.concat([Buffer.from(lines.join('\r\n')), body]), { isWhole: true })
}

/** Whatever comes back until the other side closes. It is told that nothing follows, unless the request is whole. */
function raw(url: string, bytes: Buffer, { isWhole = false } = {}): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(Number(port), hostname, () => (isWhole ? socket.write(bytes) : socket.end(bytes)))
    socket.setTimeout(20_000, () =>
      socket.destroy(new Error(`no answer in 20 s: ${bytes.subarray(0, 400).toString('latin1')}`)),
    )
    socket.on('data', chunk => {
      chunks.push(chunk)
      if (endless.test(Buffer.concat(chunks.slice(0, 2)).toString('latin1'))) socket.destroy()
    })
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
    socket.on('error', error => ('code' in error && error.code === 'ECONNRESET' ? undefined : reject(error)))
  })
}

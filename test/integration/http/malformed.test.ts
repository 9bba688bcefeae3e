import assert from 'node:assert/strict'
import { connect } from 'node:net'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import { aMessage, anId } from '../../support/builders.ts'
import { SeededRandom, testSeed } from '../../support/random.ts'
import { HttpBench } from './http-bench.ts'

interface Request {
  readonly method: string
  readonly path: string
  readonly headers: readonly string[]
  readonly body: Buffer
}

const rounds = 10_000

describe('http faces under malformed requests', function () {
  this.timeout(600_000)
  const seed = testSeed()
  const random = new SeededRandom(seed)
  let bench: HttpBench
  let item: DataItem
  before(async () => {
    bench = await HttpBench.start()
    item = await bench.net.spawn(bench.node, 'parrot')
  })
  after(() => bench.stop())

  it(`never fail by their own fault, and go on serving (seed ${seed})`, async () => {
    const message = await aMessage(item, { data: 'well formed' })
    const good = wellFormed(item.id, message)
    for (const request of good)
      assert.match(await exchange(bench.url, request), /^HTTP\/1\.1 (2|404|501)/, request.path)
    for (let done = 0; done < rounds; done += 30) {
      const requests = Array.from({ length: 30 }, () => mutated(random.pick(good), random))
      const answers = await Promise.all(requests.map(request => exchange(bench.url, request)))
      for (const [i, answer] of answers.entries()) {
        const asked = JSON.stringify({ ...requests[i], body: requests[i]?.body.toString('latin1').slice(0, 300) })
        assert.doesNotMatch(answer, /^HTTP\/1\.1 5(?!01)/, `${asked}\n${answer.slice(0, 500)}`)
        assert.match(answer, /^(HTTP\/1\.1 \d{3}|$)/, asked)
      }
    }
    assert.deepEqual(bench.faults, [])
    assert.match(await exchange(bench.url, { ...blank, path: '/cu' }), /^HTTP\/1\.1 200/)
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

const blank: Request = { method: 'GET', path: '/', headers: [], body: Buffer.alloc(0) }

const wellFormed = (process: string, message: DataItem): readonly Request[] => {
  const dry = Buffer.from(
    JSON.stringify({ Owner: '1234', Target: process, Data: 'x', Tags: [{ name: 'a', value: 'b' }] }),
  )
  const item = Buffer.from(message.raw)
  return [
    ...['/mu', '/su', '/cu', '/su/timestamp', `/su?process-id=${process}`, `/su/processes/${process}`],
    ...[`/su/${process}?process-id=${process}&from=1&to=9&limit=3`, `/su/${process}?from-nonce=-1&to-nonce=5`],
    ...[
      `/su/${message.id}?process-id=${process}`,
      `/su/${process}/latest`,
      `/cu/result/${process}?process-id=${process}`,
    ],
    ...[`/${process}~process@1.0/compute/results=0`, `/${process}/slot/current`, '/~meta@1.0/info/address'],
    `/${process}~process@1.0/as=execution/compute&Action=Info&X=a%2Fb`,
    ...[
      `/cu/results/${process}?from=1&to=2&sort=DESC&limit=5`,
      '/openapi.json',
      '/docs',
      `/su/${anId()}?process-id=${process}`,
    ],
  ]
    .map((path): Request => ({ ...blank, path }))
    .concat(
      ['/mu', '/su', '/push', `/${process}~process@1.0/push`, `/mu?process-id=${process}&assign=${message.id}`].map(
        path => ({
          ...blank,
          method: 'POST',
          path,
          body: item,
        }),
      ),
      {
        ...blank,
        method: 'POST',
        path: `/cu/dry-run?process-id=${process}`,
        headers: ['Content-Type: application/json'],
        body: dry,
      },
      { ...blank, method: 'DELETE', path: `/mu/monitor/${process}`, body: item },
    )
}

type Mutation = (request: Request, random: SeededRandom) => Request
const oddTexts = [
  '',
  '%',
  '%00',
  '%ff%fe',
  '..',
  '-1',
  '1e99',
  '0x1',
  'null',
  '[]',
  '{"a":1}',
  'é',
  '=',
  '&&',
  '?',
  'a'.repeat(300),
]
const oddCursors = ['e30=', 'bnVsbA==', btoa('{"ordinate":"-5"}'), btoa('{"ordinate":{},"timestamp":[]}'), btoa('[1]')]

const mutations: readonly Mutation[] = [
  (request, random) => ({
    ...request,
    method: random.pick(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE']),
  }),
  (request, random) => ({ ...request, path: spliced(request.path, random.pick(oddTexts), random) }),
  (request, random) => ({
    ...request,
    path: request.path.replace(/=[^&]*/, `=${encodeURIComponent(random.pick([...oddTexts, ...oddCursors]))}`),
  }),
  request => ({ ...request, path: `${request.path}${request.path.replace(/^[^?]*\??/, '&')}` }),
  (request, random) => ({
    ...request,
    path: request.path.replace(/[A-Za-z0-9_-]{43}/, id => id.slice(0, random.below(43))),
  }),
  (request, random) => ({
    ...request,
    path: `${request.path}/${random.pick(oddTexts.filter(text => !/[^!-~]/.test(text)))}`,
  }),
  (request, random) => ({
    ...request,
    headers: [
      `Content-Type: ${random.pick(['', ';', 'text/plain', 'application/json; charset=x', 'multipart/form-data'])}`,
    ],
  }),
  (request, random) => ({
    ...request,
    headers: [`Content-Encoding: ${random.pick(['gzip', 'br'])}`, `Expect: ${random.pick(['100-continue', 'x'])}`],
  }),
  (request, random) => ({ ...request, method: 'POST', body: random.bytes(random.below(3000)) }),
  (request, random) => ({ ...request, body: request.body.subarray(0, random.below(request.body.length + 1)) }),
  (request, random) => ({ ...request, body: flipped(request.body, random) }),
  (request, random) => ({
    ...request,
    method: 'POST',
    body: Buffer.from(
      random.pick(['{', 'null', '[]', '{"Tags":{}}', '{"Data":{"a":[]}}', '"x"', '1e999', `${'['.repeat(50_000)}`]),
    ),
  }),
]

function mutated(request: Request, random: SeededRandom): Request {
  let changed = request
  for (let i = random.below(3); i >= 0; i--) changed = random.pick(mutations)(changed, random)
  return changed
}

function spliced(text: string, odd: string, random: SeededRandom): string {
  const at = 1 + random.below(text.length)
  return text.slice(0, at) + odd + text.slice(at + random.below(3))
}

function flipped(bytes: Buffer, random: SeededRandom): Buffer {
  const copy = Buffer.from(bytes)
  for (let i = 0; i < 3 && copy.length > 0; i++) copy.writeUInt8(random.below(256), random.below(copy.length))
  return copy
}

function exchange(url: string, { method, path, headers, body }: Request): Promise<string> {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    'Host: x',
    'Connection: close',
    `Content-Length: ${body.length}`,
    ...headers,
    '',
    '',
  ]
  return raw(url, Buffer.concat([Buffer.from(lines.join('\r\n')), body]))
}

/** Whatever comes back until the other side closes. */
function raw(url: string, bytes: Buffer): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(Number(port), hostname, () => socket.end(bytes))
    socket.setTimeout(20_000, () => socket.destroy(new Error('no answer in 20 s')))
    socket.on('data', chunk => chunks.push(chunk))
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
    socket.on('error', error => ('code' in error && error.code === 'ECONNRESET' ? undefined : reject(error)))
  })
}

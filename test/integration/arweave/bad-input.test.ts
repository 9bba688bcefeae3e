import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { GatewayClient } from '../../../src/arweave/gateway-client.ts'
import { isErrorCode } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { bundleTags, packBundle } from '../../../src/protocol/bundle.ts'
import { anId, anItem } from '../../support/builders.ts'
import { RunningDevnet } from './running-devnet.ts'

const json = 'application/json'
const bytes = 'application/octet-stream'

describe('devnet, bad input', () => {
  let devnet: RunningDevnet
  before(async () => {
    devnet = await RunningDevnet.start()
  })
  after(() => devnet.remove())

  /** A refusal has a status below 500 and a body with text, code and facts. */
  const refuses = async (answer: Response, label: string): Promise<Record<string, unknown>> => {
    const text = await answer.text()
    assert.ok(answer.status >= 400 && answer.status < 500, `${label}: ${answer.status} ${text.slice(0, 200)}`)
    const body = JSON.parse(text) as Record<string, unknown>
    assert.ok(typeof body['error'] === 'string' && body['error'] !== '', label)
    assert.ok(isErrorCode(String(body['code'])), `${label}: ${body['code']}`)
    assert.equal(typeof body['facts'], 'object', label)
    return body
  }

  const id = anId('unknown')
  for (const path of [
    '/raw/x',
    `/raw/${id}`,
    `/${id}`,
    '/nonsense',
    '/%E0%A4%A',
    `/${'A'.repeat(5000)}`,
    '/a/b/c/d',
    '/tx/x',
    `/tx/${id}`,
    `/tx/${id}/status`,
    `/tx/${id}/offset`,
    `/tx/${id}/data`,
    `/tx/${id}/__proto__`,
    '/chunk/0',
    '/chunk/-1',
    '/chunk/1e3',
    '/chunk/999999999999999',
    '/block/height/x',
    '/block/height/-1',
    '/block/height/99999999',
    '/block/hash/x',
    '/price/x',
    '/price/-1',
    '/price/1e999',
    '/wallet/x/balance',
    '/wallet/x/last_tx',
    '/mine/0',
    '/mine/1001',
    '/mint/x/1',
    `/mint/${id}/0`,
    `/mint/${id}/-5`,
    `/mint/${id}/${'9'.repeat(40)}`,
  ])
    it(`refuses GET ${path.slice(0, 60)}`, async () => {
      await refuses(await devnet.get(path), path)
    })

  it('refuses garbage, truncated and changed items at each door of the bundler', async () => {
    const { raw } = await anItem({ data: Buffer.from('whole'), tags: [{ name: 'a', value: 'b' }] })
    const changed = Buffer.from(raw)
    changed.writeUInt8(changed.readUInt8(raw.length - 1) ^ 1, raw.length - 1)
    const bad = [Buffer.alloc(0), Buffer.from('garbage'), Buffer.alloc(2000, 0xff), changed]
    for (let length = 1; length < raw.length; length += 7) bad.push(Buffer.from(raw.subarray(0, length)))
    for (const path of ['/tx', '/tx/arweave', '/v1/tx/arweave'])
      for (const body of bad) {
        const { code } = await refuses(await devnet.post(path, body, bytes), `${path} ${body.length} bytes`)
        assert.equal(code, 'INVALID_DATA_ITEM')
      }
  })

  it('refuses JSON that is no transaction', async () => {
    const { jwk } = await devnet.wallet()
    const client = new GatewayClient(silentTelemetry, { gatewayUrl: devnet.url, wallet: jwk })
    const good = JSON.parse(Buffer.from((await client.prepare(Buffer.from('data'))).payload).toString())
    const bad: unknown[] = [null, 1, '', [], {}, [good], { ...good, format: 1 }]
    for (const field of Object.keys(good).filter(name => name !== 'data_tree' && name !== 'data')) {
      for (const value of [undefined, null, 7, '', '!', 'A', '-1', {}, [], 'A'.repeat(2000)]) {
        if (JSON.stringify(value) !== JSON.stringify(good[field])) bad.push({ ...good, [field]: value })
      }
    }
    bad.push({ ...good, tags: [{ name: 'AA' }] }, { ...good, tags: [null] }, { ...good, data: 5 })
    bad.push({ ...good, data: 'AAAA' }, { ...good, data_size: '99999999999999' })
    for (const body of bad) {
      await refuses(await devnet.post('/tx', JSON.stringify(body), json), JSON.stringify(body)?.slice(0, 100))
    }
    for (const text of ['', '{', '{"__proto__": 1}', '\u0000', '[[[['])
      await refuses(await devnet.post('/tx', text, json), text)
    assert.equal((await devnet.post('/tx', JSON.stringify(good), json)).status, 200, 'and takes the good one')
  })

  it('refuses JSON that is no chunk', async () => {
    const chunk = { data_root: id, data_size: '10', data_path: 'A'.repeat(86), offset: '0', chunk: 'AAAA' }
    for (const field of Object.keys(chunk))
      for (const value of [undefined, null, 7, '', '!', '-1', {}, 'A'.repeat(400_000)]) {
        await refuses(await devnet.post('/chunk', JSON.stringify({ ...chunk, [field]: value }), json), field)
      }
    for (const text of ['', '{', 'null', '[]']) await refuses(await devnet.post('/chunk', text, json), text)
    await refuses(await devnet.post('/chunk', Buffer.alloc(100), bytes), 'bytes')
  })

  it('refuses bodies above their limits', async () => {
    const large = 'A'.repeat(17 * 1024 * 1024)
    assert.equal((await refuses(await devnet.post('/tx', `"${large}"`, json), '/tx'))['code'], 'TOO_LARGE')
    assert.equal(
      (await refuses(await devnet.post('/chunk', `"${large.slice(0, 1e6)}"`, json), '/chunk'))['code'],
      'TOO_LARGE',
    )
    const graphql = await devnet.post('/graphql', JSON.stringify({ query: large.slice(0, 2e6) }), json)
    assert.equal(graphql.status, 413)
    // Said by its header alone, so that nobody has to send 200 MB.
    const answer = await rawRequest(devnet.url, 'POST /tx/arweave', [
      'content-type: application/octet-stream',
      'content-length: 200000000',
    ])
    assert.match(answer, /^HTTP\/1.1 413 /)
    assert.match(answer, /"code":"TOO_LARGE"/)
  })

  it('keeps a malformed bundle as data, and nothing of it as items', async () => {
    for (const data of [Buffer.from('no bundle'), Buffer.alloc(32, 0xff), packBundle([]), Buffer.alloc(0)]) {
      const item = await anItem({ tags: bundleTags, data })
      assert.equal((await devnet.post('/tx/arweave', item.raw, bytes)).status, 200)
      assert.ok((await devnet.bytes(`/raw/${item.id}`)).equals(Buffer.from(data)))
    }
  })

  it('serves data whatever its tags hold', async () => {
    const values = [
      'a\r\nb: c',
      'zwölf',
      '\u0000',
      ' ',
      '',
      'x'.repeat(3000),
      'application/json',
      'text/html; charset=nonsense',
    ]
    for (const [i, value] of values.entries()) {
      const tags = ['Content-Type', 'Type', 'Content-Encoding', 'Location', 'x'].map(name => ({
        name,
        value: value.slice(0, 800),
      }))
      const item = await anItem({ tags, data: Buffer.from(`data ${i}`) })
      assert.equal((await devnet.post('/tx/arweave', item.raw, bytes)).status, 200)
      for (const path of [`/raw/${item.id}`, `/${item.id}`]) {
        const answer = await devnet.get(path)
        assert.deepEqual([answer.status, await answer.text()], [200, `data ${i}`], `${path} ${JSON.stringify(value)}`)
      }
    }
  })

  it('opens bundles in bundles only so deep', async () => {
    let item = await anItem({ data: Buffer.from('bottom') })
    const ids = [item.id]
    for (let i = 0; i < 12; i++) {
      item = await anItem({ tags: bundleTags, data: packBundle([item]) })
      ids.push(item.id)
    }
    assert.equal((await devnet.post('/tx/arweave', item.raw, bytes)).status, 200)
    const statuses = await Promise.all(ids.reverse().map(async each => (await devnet.get(`/tx/${each}/status`)).status))
    assert.deepEqual(statuses, [...Array(9).fill(202), ...Array(4).fill(404)])
  })

  it('answers preflights of browsers on every path, and lets every origin read', async () => {
    for (const path of ['/graphql', '/tx', '/chunk', `/raw/${id}`, '/info', '/nowhere']) {
      const headers = {
        origin: 'http://page',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'x-a',
      }
      const answer = await fetch(`${devnet.url}${path}`, { method: 'OPTIONS', headers })
      assert.equal(answer.status, 204, path)
      assert.equal(answer.headers.get('access-control-allow-headers'), 'x-a')
      assert.match(answer.headers.get('access-control-allow-methods') ?? '', /POST/)
    }
    for (const path of ['/info', `/raw/${id}`, '/nowhere'])
      assert.equal((await devnet.get(path)).headers.get('access-control-allow-origin'), '*', path)
  })

  it('answers other methods and broken requests with a refusal', async () => {
    for (const method of ['PUT', 'DELETE', 'PATCH']) {
      await refuses(await fetch(`${devnet.url}/tx`, { method }), method)
      await refuses(await fetch(`${devnet.url}/graphql`, { method }), method)
    }
    assert.match(await rawRequest(devnet.url, 'NONSENSE'), /^HTTP\/1.1 400 /)
    assert.equal((await devnet.get('/info')).status, 200, 'and goes on')
  })
})

/** A request written by hand, and its whole answer. */
function rawRequest(url: string, line: string, headers: readonly string[] = []): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(Number(port), hostname)
    socket.setTimeout(5000, () => socket.destroy(new Error('no answer')))
    socket.on('data', data => {
      answer += data
      if (answer.includes('"code"') || line === 'NONSENSE') socket.end()
    })
    socket.on('error', error => (answer === '' ? reject(error) : resolve(answer)))
    socket.on('close', () => resolve(answer))
    socket.write([`${line} HTTP/1.1`, 'host: devnet', ...headers, '', ''].join('\r\n'))
  })
}

import assert from 'node:assert/strict'
import { utf8 } from '../../../src/lib/bytes.ts'
import { AoError } from '../../../src/lib/errors.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import { aMessage, anId, anItem, processIdOf } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { HttpBench, refusal } from './http-bench.ts'

interface Node {
  readonly message: Record<string, unknown> | null
  readonly assignment: { id: string; tags: { name: string; value: string }[] } & Record<string, unknown>
}
interface Page {
  readonly page_info: { readonly has_next_page: boolean }
  readonly edges: readonly { readonly node: Node; readonly cursor: string }[]
}
const tagOf = ({ assignment }: Node, name: string): string | undefined =>
  assignment.tags.find(tag => tag.name === name)?.value
const noncesOf = ({ edges }: Page): number[] => edges.map(({ node }) => Number(tagOf(node, 'Nonce')))

describe('http faces of the units', () => {
  let bench: HttpBench
  let item: DataItem
  let process: string
  let sent: DataItem[]
  before(async () => {
    bench = await HttpBench.start()
    item = await bench.net.spawn(bench.node, 'parrot')
    process = item.id
    sent = await Promise.all(
      Array.from({ length: 9 }, (_, i) =>
        aMessage(item, { data: i === 4 ? 'fail' : `words ${i + 1}`, anchor: 'a'.repeat(32) }),
      ),
    )
    for (const message of sent) assert.equal((await bench.post('/mu', message.raw)).status, 202)
  })
  after(() => bench.stop())
  afterEach(() => assert.deepEqual(bench.faults, []))

  describe('/mu', () => {
    it('says what it is', async () => {
      assert.equal(await (await bench.get('/mu')).text(), 'ao messenger unit')
    })

    it('shows how far messages are pushed: those of a Process newest first, or one with all it set off', async () => {
      type Traces = {
        readonly pageInfo: { readonly hasNextPage: boolean }
        readonly edges: readonly { readonly node: Record<string, unknown>; readonly cursor: string }[]
      }
      const quiet = await bench.net.spawn(bench.node, 'parrot', { name: 'quiet', data: 'quiet' })
      const messages = await Promise.all([1, 2, 3].map(i => aMessage(quiet, { data: `traced ${i}` })))
      for (const message of messages) await bench.post('/mu', message.raw)
      const ask = (query: string) => bench.json<Traces>(`/mu?debug&process=${quiet.id}${query}`)
      const ids = ({ edges }: Traces) => edges.map(({ node }) => node['messageId'])
      const newest = messages.map(({ id }) => id).reverse()
      const first = await ask('&page-size=2')
      assert.deepEqual([ids(first), first.pageInfo.hasNextPage], [newest.slice(0, 2), true])
      const second = await ask('&page-size=2&page=2')
      assert.deepEqual([ids(second), second.pageInfo.hasNextPage], [[newest[2], quiet.id], false])
      assert.deepEqual(ids(await ask('&page=9')), [])
      const [one] = (await ask(`&message=${newest[0]}`)).edges
      assert.deepEqual([one?.node['messageId'], one?.node['processId']], [newest[0], quiet.id])
      await eventually('its end', async () => (await ask(`&spawn=${newest[0]}`)).edges[0]?.node['state'] === 'done')
      const owner = messages[0]?.owner
      assert.equal((await ask(`&wallet=${owner}`)).edges.length, messages.length + 1)
      assert.deepEqual((await ask('&wallet=nobody')).edges, [])
      const two = await bench.get(`/mu?debug&process=${quiet.id}&message=${newest[0]}&spawn=${newest[0]}`)
      assert.equal(two.status, 422)
      assert.equal(((await two.json()) as { code: string }).code, 'INVALID_ARGUMENT')
      assert.equal((await bench.get(`/mu?debug&process=${quiet.id}&message=short`)).status, 400)
      assert.equal((await bench.get('/mu?debug')).status, 400)
      assert.equal((await bench.get(`/mu?debug&process=${quiet.id}&message=${anId()}`)).status, 404)
    })

    it('pushes again a part of what a message sent', async () => {
      const [message] = sent
      const path = `/mu/push/${message?.id}/0`
      const answer = await bench.post(`${path}?process-id=${process}`, '')
      assert.deepEqual(
        [answer.status, await answer.json()],
        [202, { message: 'Processing part 0 of the outbox', id: message?.id }],
      )
      assert.equal((await bench.post(path, '')).status, 400)
      assert.equal((await bench.post(`/mu/push/${message?.id}/x?process-id=${process}`, '')).status, 400)
      assert.equal((await bench.post(`/mu/push/${anId()}/0?process-id=${process}`, '')).status, 404)
      assert.equal((await bench.post(`${path}?process-id=${process}&custom-cu=http://cu`, '')).status, 501)
      assert.equal(await (await bench.get('/su/health')).text(), 'OK')
    })

    it('answers 202 with the id once a message is ordered, with and without a slash, the same for a repeat', async () => {
      const message = await aMessage(item, { data: 'slash' })
      for (const path of ['/mu', '/mu/', '//mu//']) {
        const answer = await bench.post(path, message.raw)
        assert.deepEqual(
          [answer.status, await answer.json()],
          [202, { message: 'Processing DataItem', id: message.id }],
        )
      }
      const { edges } = await bench.json<Page>(`/su/${process}?limit=1000`)
      assert.equal(edges.filter(({ node }) => node.message?.['id'] === message.id).length, 1)
    })

    it('refuses what is no signed item, and says what to do', async () => {
      for (const body of ['', 'words', changed(sent[0])]) {
        const { status, code, hint } = await refusal(await bench.post('/mu', body))
        assert.deepEqual([status, code, typeof hint], [400, 'INVALID_DATA_ITEM', 'string'])
      }
    })

    it('refuses a message for a Process that nobody knows with 404', async () => {
      const { status, code } = await refusal(await bench.post('/mu', (await aMessage(anId<ProcessId>('nobody'))).raw))
      assert.deepEqual([status, code], [404, 'UNKNOWN_PROCESS'])
    })

    it('refuses an item over the limit with 413 and the limit', async () => {
      const large = await aMessage(item, { data: 'x'.repeat(100_000) })
      for (const path of ['/mu', '/su']) {
        assert.deepEqual((await refusal(await bench.post(path, large.raw))).code, 'TOO_LARGE')
      }
    })

    it('orders an item of Arweave in a Process, and says what is wrong with it', async () => {
      const alone = await refusal(await bench.post(`/mu?assign=${anId()}`, ''))
      assert.deepEqual(alone.error, 'You must set both process-id and assign to send an assignment, not just one')
      assert.equal(alone.status, 400)
      const lost = await refusal(await bench.post(`/mu?process-id=${process}&assign=${anId()}&base-layer`, ''))
      assert.deepEqual([lost.status, lost.code], [404, 'UNKNOWN_MESSAGE'])
      const garbled = await refusal(await bench.post(`/su?process-id=${process}&assign=abc`, ''))
      assert.deepEqual([garbled.status, garbled.code], [400, 'INVALID_ARGUMENT'])
      const found = await anItem({ data: utf8('on Arweave') })
      await bench.net.arweave.upload(found)
      const query = `?process-id=${process}&assign=${found.id}&exclude=Tags,Anchor`
      const answer = await bench.post(`/mu${query}`, '')
      assert.equal(answer.status, 202)
      const { id, message } = (await answer.json()) as Record<string, unknown>
      assert.equal(message, 'Processing Assignment')
      const again = (await (await bench.post(`/su${query}`, '')).json()) as Record<string, unknown>
      assert.equal(again['id'], id)
      const row = await bench.json<{ message: unknown; assignment: { tags: { name: string; value: string }[] } }>(
        `/su/${id}?process-id=${process}`,
      )
      assert.equal(row.message, null)
      const excluded = row.assignment.tags.filter(({ name }) => name === 'Exclude').map(({ value }) => value)
      assert.deepEqual(excluded, ['Tags', 'Anchor'])
    })

    it('monitors a Process and ends it, by a signed item for that Process', async () => {
      const signed = await anItem({ target: process as ProcessId })
      const tell = (method: string, body: Uint8Array) =>
        bench.get(`/mu/monitor/${process}`, { method, body: body as BodyInit })
      const other = await refusal(await tell('POST', (await anItem({ target: anId<ProcessId>('other') })).raw))
      assert.deepEqual([other.status, other.code], [400, 'INVALID_DATA_ITEM'])
      assert.equal(await (await tell('POST', signed.raw)).text(), 'Monitoring process')
      assert.equal((await refusal(await tell('POST', signed.raw))).status, 400)
      assert.equal(await (await tell('DELETE', signed.raw)).text(), 'Process deleted')
      const gone = await refusal(await tell('DELETE', signed.raw))
      assert.deepEqual([gone.status, gone.error], [404, 'Process monitor not found'])
    })
  })

  describe('/su', () => {
    it('says who schedules and what time it is', async () => {
      for (const path of ['/su', `/su?process-id=${process}`]) {
        const { address, timestamp } = await bench.json(path)
        assert.equal(address, bench.node.address)
        assert.match(String(timestamp), /^[0-9]{13}$/)
      }
      const { block_height, timestamp } = await bench.json(`/su/timestamp?process-id=${process}`)
      assert.match(String(timestamp), /^[0-9]{13}$/)
      assert.match(String(block_height), /^0000015[0-9]{5}$/)
    })

    it('orders an item and answers with its id and time', async () => {
      const message = await aMessage(item, { data: 'straight to the SU' })
      const answer = (await (await bench.post('/su', message.raw)).json()) as { id: string; timestamp: number }
      assert.equal(answer.id, message.id)
      const node = await bench.json<Node>(`/su/${message.id}?process-id=${process}`)
      assert.equal(tagOf(node, 'Timestamp'), String(answer.timestamp))
    })

    it('shows a Process', async () => {
      const shown = await bench.json(`/su/processes/${process}`)
      assert.deepEqual(shown['process_id'], process)
      assert.deepEqual((shown['owner'] as { address: string }).address, item.owner)
      assert.match(String(shown['block']), /^[0-9]{12}$/)
      assert.equal(typeof shown['timestamp'], 'number')
      assert.equal(shown['data'], '1984')
      assert.deepEqual(shown['tags'], item.tags)
    })

    it('shows a message by its id and by that of its Assignment, with every field of both', async () => {
      const [first] = sent
      assert.ok(first)
      const node = await bench.json<Node>(`/su/${first.id}?process-id=${process}`)
      assert.deepEqual(node.message, {
        id: first.id,
        owner: { address: first.owner, key: Buffer.from(first.ownerKey).toString('base64url') },
        tags: first.tags,
        signature: Buffer.from(first.signature).toString('base64url'),
        data: 'words 1',
        anchor: 'a'.repeat(32),
        target: process,
      })
      assert.deepEqual(Object.keys(node.assignment).sort(), ['anchor', 'id', 'owner', 'signature', 'tags', 'target'])
      assert.equal(tagOf(node, 'Nonce'), '1')
      assert.deepEqual(await bench.json<Node>(`/su/${node.assignment.id}?process-id=${process}`), node)
      const encoded = await bench.json<Node>(`/su/${first.id}?process-id=${process}&show-anchor`)
      assert.equal(encoded.message?.['anchor'], Buffer.from('a'.repeat(32)).toString('base64url'))
    })

    it('shows the newest message, and none while there is only the Process', async () => {
      const last = await bench.json<Node>(`/su/${process}/latest`)
      assert.equal(tagOf(last, 'Nonce'), String(noncesOf(await bench.json<Page>(`/su/${process}`)).at(-1)))
      const fresh = await bench.net.spawn(bench.node, 'parrot', { name: 'fresh' })
      const none = await refusal(await bench.get(`/su/${fresh.id}/latest`))
      assert.deepEqual([none.status, none.error], [404, 'Latest message not available'])
    })

    it('pages by time from the Process on, and a reader that follows the cursors misses none', async () => {
      const seen: number[] = []
      for (let [from, more] = ['', true]; more && seen.length < 100; ) {
        const page = await bench.json<Page>(`/su/${process}?process-id=${process}&limit=2${from}`)
        seen.push(...noncesOf(page))
        from = `&from=${page.edges.at(-1)?.cursor}`
        more = page.page_info.has_next_page
      }
      assert.deepEqual(
        seen,
        Array.from(seen, (_, i) => i),
      )
      assert.ok(seen.length >= 10)
    })

    it('pages by nonce: from exclusive, to inclusive, -1 for the beginning', async () => {
      const page = (query: string) => bench.json<Page>(`/su/${process}?process-id=${process}&${query}`)
      assert.deepEqual(noncesOf(await page('from-nonce=2&to-nonce=5')), [3, 4, 5])
      assert.deepEqual(noncesOf(await page('from-nonce=-1&to-nonce=1')), [0, 1])
      const limited = await page('from-nonce=3&limit=2')
      assert.deepEqual(
        [noncesOf(limited), limited.edges.map(edge => edge.cursor)],
        [
          [4, 5],
          ['4', '5'],
        ],
      )
      assert.equal(limited.page_info.has_next_page, true)
      assert.equal((await page('from-nonce=3&to-nonce=5&limit=2')).page_info.has_next_page, false)
      assert.deepEqual(noncesOf(await page('from-nonce=9000')), [])
    })
  })

  describe('/cu', () => {
    it('says who computes', async () => {
      const { address, timestamp } = await bench.json('/cu')
      assert.deepEqual([address, typeof timestamp], [bench.node.address, 'number'])
    })

    it('gives a result by message, by Assignment, and by Process for its own item', async () => {
      const [first] = sent
      const { assignment } = await bench.json<Node>(`/su/${first?.id}?process-id=${process}`)
      for (const [id, output] of [
        [first?.id, 'words 1'],
        [assignment.id, 'words 1'],
        [process, '1984'],
      ] as const) {
        const result = await bench.json(`/cu/result/${id}?process-id=${process}&no-busy=1`)
        assert.equal(result['Output'], output)
        assert.deepEqual(result['Messages'], [])
      }
    })

    it('asks for the Process, and for a message that is there', async () => {
      const missing = await refusal(await bench.get(`/cu/result/${process}`))
      assert.deepEqual([missing.status, missing.error], [400, 'the parameter process-id is missing'])
      const unknown = await refusal(await bench.get(`/cu/result/${anId('other')}?process-id=${process}`))
      assert.deepEqual([unknown.status, unknown.code], [404, 'UNKNOWN_MESSAGE'])
    })

    it('pages results by time as by cursor, and brings results nobody asked for before', async () => {
      const fresh = await bench.net.spawn(bench.node, 'parrot', { name: 'unread' })
      for (const data of ['a', 'b', 'c']) await bench.post('/su', (await aMessage(fresh, { data })).raw)
      const read = async (query: string) => {
        const { edges, pageInfo } = await bench.json<ResultPage>(`/cu/results/${fresh.id}?${query}`)
        return { outputs: edges.map(({ node }) => node['Output']), edges, more: pageInfo.hasNextPage }
      }
      const all = await read('')
      assert.deepEqual([all.outputs, all.more], [['1984', 'a', 'b', 'c'], false])
      assert.deepEqual((await read('limit=2')).more, true)
      const second = JSON.parse(atob(all.edges[1]?.cursor ?? '')) as { timestamp: number }
      const { assignment } = await bench.json<Node>(`/su/${fresh.id}/latest`)
      const newest = assignment.tags.find(({ name }) => name === 'Timestamp')?.value
      assert.deepEqual((await read(`from=${newest}`)).outputs, [])
      assert.deepEqual((await read(`to=${second.timestamp - 1}`)).outputs.includes('a'), false)
      assert.deepEqual((await read('from=&to=&sort=DESC&limit=1')).outputs, ['c'])
    })

    it('takes what clients post for a dry-run, and says what is wrong with it', async () => {
      const post = (body: unknown, query = `?process-id=${process}`) =>
        bench.post(`/cu/dry-run${query}`, typeof body === 'string' ? body : JSON.stringify(body))
      const dry = async (body: unknown, query?: string) =>
        ((await (await post(body, query)).json()) as { Output: unknown }).Output
      assert.equal(await dry({ Id: '1234', Owner: '1234', Data: 'dry', Anchor: '0', Tags: [] }), 'dry')
      assert.equal(await dry({ Target: process, Data: 5, Tags: null }, ''), '5')
      for (const [body, field] of [
        ['{', 'JSON'],
        [{ Tags: [{ name: 'x' }] }, 'Tags.0.value'],
        [[], 'body'],
        [{ Data: {} }, 'Data'],
        [Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`F${i}`, i])), 'fields'],
      ] as const) {
        const { status, error } = await refusal(await post(body))
        assert.deepEqual([status, error.includes(field)], [400, true], error)
      }
      assert.equal((await refusal(await post({ Data: 'x' }, ''))).code, 'INVALID_ARGUMENT')
    })

    it('gives the state after a message, or at a time, and dry-runs on it', async () => {
      const fresh = await bench.net.spawn(bench.node, 'recorder', { name: 'aged' })
      const sent = await Promise.all(['a', 'b', 'c'].map(data => aMessage(fresh, { data })))
      for (const { raw } of sent) await bench.post('/su', raw)
      const path = `/cu/dry-run?process-id=${fresh.id}`
      const seen = async (query = ''): Promise<unknown> => {
        const answer = await bench.post(`${path}${query}`, JSON.stringify({ Data: 'x', Owner: 'me' }))
        return ((await answer.json()) as { Output: { seen: unknown } }).Output.seen
      }
      assert.deepEqual(await seen(), ['1984', 'a', 'b', 'c', 'x'])
      assert.deepEqual(await seen(`&to=${sent[1]?.id}`), ['1984', 'a', 'b', 'x'])
      assert.deepEqual(await seen(`&to=${fresh.id}`), ['1984', 'x'])
      const unknown = await refusal(await bench.post(`${path}&to=${anId('nothing')}`, '{"Data":"x"}'))
      assert.deepEqual([unknown.status, unknown.code], [404, 'UNKNOWN_MESSAGE'])

      const stateAt = async (query: string) => {
        const { headers } = await bench.get(`/cu/state/${fresh.id}${query}`)
        return { ordinate: headers.get('last-ordinate'), timestamp: headers.get('last-timestamp') }
      }
      assert.equal((await stateAt('')).ordinate, '3')
      const { edges } = await bench.json<ResultPage>(`/cu/results/${fresh.id}`)
      const times = edges.map(({ cursor }) => (JSON.parse(atob(cursor)) as { timestamp: number }).timestamp)
      const last = (time: number | undefined) => times.filter(one => one <= (time ?? 0)).length - 1
      for (const time of times) {
        const { ordinate, timestamp } = await stateAt(`?to=${time}`)
        assert.deepEqual([ordinate, timestamp], [String(last(time)), String(times[last(time)])])
      }
      assert.equal((await refusal(await bench.get(`/cu/state/${fresh.id}?to=yesterday`))).code, 'INVALID_ARGUMENT')
      assert.equal((await refusal(await bench.get(`/cu/state/${fresh.id}?to=1`))).status, 404)
    })
  })

  describe('all of them', () => {
    it('let web pages of any origin ask, with whatever headers they send', async () => {
      for (const path of ['/mu', '/su', `/cu/dry-run?process-id=${process}`, '/nowhere']) {
        const preflight = await bench.get(path, {
          method: 'OPTIONS',
          headers: { origin: 'http://localhost:3000', 'access-control-request-headers': 'content-type,accept' },
        })
        assert.equal(preflight.status, 204)
        assert.equal(preflight.headers.get('access-control-allow-origin'), '*')
        assert.equal(preflight.headers.get('access-control-allow-headers'), 'content-type,accept')
        assert.match(preflight.headers.get('access-control-allow-methods') ?? '', /POST.*DELETE/)
      }
      for (const path of ['/cu', '/nowhere', `/su/${anId('x')}`]) {
        assert.equal((await bench.get(path)).headers.get('access-control-allow-origin'), '*')
      }
    })

    it('say where the description is to whoever is lost', async () => {
      const lost = await refusal(await bench.get('/cu/nowhere'))
      assert.deepEqual(
        [lost.status, lost.hint],
        [404, 'GET /openapi.json lists what this port answers; /docs shows it.'],
      )
    })

    it('refuse a parameter that is given twice', async () => {
      const twice = await refusal(await bench.get(`/su/${process}?limit=1&limit=2`))
      assert.deepEqual([twice.status, twice.code], [400, 'INVALID_ARGUMENT'])
    })
  })
})

interface ResultPage {
  readonly pageInfo: { readonly hasNextPage: boolean }
  readonly edges: readonly { readonly cursor: string; readonly node: Record<string, unknown> }[]
}

describe('http faces of a unit in trouble', () => {
  it('say when to come again', async () => {
    const failures = [
      { code: 'OVERLOADED', status: 429 },
      { code: 'NOT_READY', status: 503 },
    ] as const
    for (const { code, status } of failures) {
      const bench = await HttpBench.start({
        compute: ({ dryRun, results, memory }) => ({
          dryRun,
          memory,
          results,
          result: () => Promise.reject(new AoError(code, 'busy')),
        }),
      })
      try {
        const answer = await bench.get(`/cu/result/${anId()}?process-id=${anId()}`)
        assert.equal(answer.status, status)
        assert.match(answer.headers.get('retry-after') ?? '', /^[0-9]+$/)
        assert.equal((await refusal(answer)).code, code)
      } finally {
        await bench.stop()
      }
    }
  })

  it('end the wait of a caller who has gone', async () => {
    let reason: unknown
    const told = Promise.withResolvers<void>()
    const bench = await HttpBench.start({
      compute: ({ dryRun, results, memory }) => ({
        dryRun,
        memory,
        results,
        result: (_process, _at, { signal } = {}) =>
          new Promise((_resolve, reject) => {
            signal?.addEventListener('abort', () => {
              reason = signal.reason
              told.resolve()
              reject(AoError.from(reason))
            })
          }),
      }),
    })
    try {
      const leaving = new AbortController()
      const path = `/cu/result/${processIdOf(await aProcessItem())}?process-id=${anId()}`
      const asking = bench.get(path, { signal: leaving.signal })
      setTimeout(() => leaving.abort(), 50)
      await assert.rejects(asking)
      await told.promise
      assert.equal(AoError.from(reason).code, 'ABORTED')
      assert.deepEqual(bench.faults, [])
    } finally {
      await bench.stop()
    }
  })
})

const aProcessItem = () => aMessage(anId<ProcessId>('some process'))

/** The last byte of its data is another. */
function changed(item: DataItem | undefined): Uint8Array {
  const bytes = Buffer.from(item?.raw ?? [])
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1)
  return bytes
}

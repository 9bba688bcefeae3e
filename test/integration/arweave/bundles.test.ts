import assert from 'node:assert/strict'
import { GatewayClient } from '../../../src/arweave/gateway-client.ts'
import { utf8 } from '../../../src/lib/bytes.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { bundleTags, packBundle } from '../../../src/protocol/bundle.ts'
import { anItem, testSigner } from '../../support/builders.ts'
import { type Connection, idsOf, RunningDevnet } from './running-devnet.ts'

describe('devnet, bundles and uploads', () => {
  let devnet: RunningDevnet
  let client: GatewayClient
  before(async () => {
    devnet = await RunningDevnet.start()
    const { jwk } = await devnet.wallet()
    client = new GatewayClient(silentTelemetry, { gatewayUrl: devnet.url, wallet: jwk })
  })
  after(() => devnet.remove())

  const meta = async (id: string) => {
    const { transaction } = await devnet.query<{ transaction: Meta | null }>(
      `query ($id: ID!) { transaction(id: $id) { id block { height } bundledIn { id } parent { id } tags { name value } } }`,
      { id },
    )
    return transaction
  }
  interface Meta {
    block: { height: number } | null
    bundledIn: { id: string } | null
    parent: { id: string } | null
  }
  const upload = async (item: { raw: Uint8Array }, path = '/tx/arweave') => {
    const answer = await devnet.post(path, item.raw)
    assert.equal(answer.status, 200)
    return (await answer.json()) as { id: string; timestamp: number }
  }

  it('names for each item the bundle right around it, at every depth', async () => {
    const leaf = await anItem({ data: utf8('leaf') })
    const inner = await anItem({ tags: bundleTags, data: packBundle([leaf]) })
    const outer = await anItem({ tags: bundleTags, data: packBundle([inner]) })
    const tx = await client.prepare(packBundle([outer]))
    await client.post(tx)
    assert.deepEqual((await meta(leaf.id))?.bundledIn, { id: inner.id })
    assert.deepEqual((await meta(inner.id))?.bundledIn, { id: outer.id })
    assert.deepEqual((await meta(outer.id))?.bundledIn, { id: tx.id })
    assert.equal((await meta(leaf.id))?.block, null, 'visible before its block')
    const { height } = await devnet.mine()
    for (const { id } of [leaf, inner, outer, tx]) assert.equal((await meta(id))?.block?.height, height)
    const { transactions } = await devnet.query(
      'query ($id: [ID!]) { transactions(bundledIn: $id) { edges { node { id } } } }',
      { id: [inner.id] },
    )
    assert.deepEqual(idsOf(transactions), [leaf.id], 'the filter gives the items and not the bundle')
  })

  it('takes an item at each door of a bundler, and a bundle item with what is in it', async () => {
    for (const path of ['/tx/arweave', '/v1/tx/arweave', '/tx']) {
      const leaf = await anItem({ data: utf8(`leaf at ${path}`) })
      const bundle = await anItem({ tags: bundleTags, data: packBundle([leaf]) })
      const { id, timestamp } = await upload(bundle, path)
      assert.equal(id, bundle.id)
      assert.ok(Math.abs(timestamp - Date.now()) < 60_000)
      assert.equal(String(await devnet.bytes(`/raw/${leaf.id}`)), `leaf at ${path}`)
    }
  })

  it('gives an uploaded item a block of its own, and its bundle once one carries it', async () => {
    const item = await anItem({ data: utf8('uploaded first') }, testSigner('uploader'))
    await upload(item)
    const { height } = await devnet.mine()
    assert.deepEqual(await meta(item.id).then(m => [m?.block?.height, m?.bundledIn]), [height, null])
    const tx = await client.prepare(packBundle([item]))
    await client.post(tx)
    await devnet.mine()
    assert.deepEqual(await meta(item.id).then(m => [m?.block?.height, m?.bundledIn?.id]), [height, tx.id])
    const { transactions } = await devnet.query<{ transactions: Connection }>(
      `{ transactions(bundledIn: ["${tx.id}"]) { edges { node { id } } } }`,
    )
    assert.deepEqual(idsOf(transactions), [item.id])
  })

  it('opens a bundle that came in chunks, all at once when the last chunk is there', async () => {
    const items = await Promise.all([1, 2, 3].map(n => anItem({ data: Buffer.alloc(4.1 * 1024 * 1024, n) })))
    const tx = await client.prepare(packBundle(items))
    await client.post(tx)
    assert.ok((await devnet.bytes(`/raw/${tx.id}`)).equals(Buffer.from(packBundle(items))), 'above 12 MiB: in chunks')
    for (const item of items) assert.deepEqual((await meta(item.id))?.bundledIn, { id: tx.id })
    await client.post(tx)
    assert.equal(await client.status(tx.id), 'pending')
  })

  it('shows an item as a transaction and its tags as headers', async () => {
    const tags = [
      { name: 'Type', value: 'Process' },
      { name: 'Data-Protocol', value: 'ao' },
      { name: 'Content-Type', value: 'text/plain' },
      { name: 'Content-Length', value: '1' },
      { name: 'Name', value: 'zwölf' },
    ]
    const item = await anItem({ tags, data: utf8('return 1') })
    await upload(item)
    for (const method of ['GET', 'HEAD']) {
      const { status, headers } = await fetch(`${devnet.url}/${item.id}`, { method })
      assert.equal(status, 200)
      assert.deepEqual(
        ['type', 'data-protocol', 'name'].map(name => headers.get(name)),
        ['Process', 'ao', null],
      )
      assert.equal(headers.get('content-length'), '8', 'a tag does not steer HTTP')
      assert.match(headers.get('content-type') ?? '', /^text\/plain/)
    }
    assert.equal((await devnet.json(`/tx/${item.id}`))['id'], item.id)
    assert.equal(await (await devnet.get(`/tx/${item.id}/data`)).text(), Buffer.from('return 1').toString('base64url'))
    assert.equal((await devnet.get('/')).headers.get('type'), 'gateway')
  })
})

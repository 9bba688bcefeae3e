import assert from 'node:assert/strict'
import { utf8 } from '../../src/lib/bytes.ts'
import type { ArweaveClient } from '../../src/ports/settlement.ts'
import { bundleTags, packBundle } from '../../src/protocol/bundle.ts'
import { idFromBytes } from '../../src/protocol/ids.ts'
import { aMessage, anId, anItem, aProcess, testSigner } from '../support/builders.ts'

export interface ArweaveUnderTest {
  readonly client: ArweaveClient
  mine(): Promise<unknown> | unknown
  close(): Promise<void>
}

/** What every ArweaveClient promises. `open` gives one that can pay, over a chain of its own. */
export function arweaveClientSuite(name: string, open: () => Promise<ArweaveUnderTest>): void {
  describe(`ArweaveClient: ${name}`, () => {
    let arweave: ArweaveUnderTest
    let client: ArweaveClient
    before(async () => {
      arweave = await open()
      client = arweave.client
    })
    after(() => arweave.close())

    const anyBundle = async (label: string) => {
      const process = await aProcess({ data: label })
      const items = [process, await aMessage(process, { anchor: 'a'.repeat(32) }), await aMessage(process)]
      return { items, bundle: packBundle(items) }
    }

    it('sends nothing when it prepares a transaction', async () => {
      const { bundle } = await anyBundle('prepared')
      const tx = await client.prepare(bundle)
      assert.equal(await client.status(tx.id), 'absent')
      assert.equal(await client.data(tx.id), undefined)
    })

    it('shows a posted bundle at once as pending, and in a block after mining', async () => {
      const { bundle } = await anyBundle('posted')
      const tx = await client.prepare(bundle)
      await client.post(tx)
      assert.equal(await client.status(tx.id), 'pending')
      assert.deepEqual(Buffer.from((await client.data(tx.id)) ?? []), Buffer.from(bundle))
      await arweave.mine()
      const { height } = await client.head()
      assert.deepEqual(await client.status(tx.id), { blockHeight: height, confirmations: 1 })
      await arweave.mine()
      assert.deepEqual(await client.status(tx.id), { blockHeight: height, confirmations: 2 })
    })

    it('gives a transaction of Arweave itself with checked data, and knows an item of a bundle from one', async () => {
      const { bundle, items } = await anyBundle('layer one')
      const tx = await client.prepare(bundle)
      assert.equal(await client.transaction(tx.id), undefined)
      await client.post(tx)
      await arweave.mine()
      const found = await client.transaction(tx.id)
      assert.deepEqual([found?.id, found?.dataSize], [tx.id, bundle.length])
      assert.ok(
        bundleTags.every(({ name, value }) => found?.tags.some(tag => tag.name === name && tag.value === value)),
      )
      assert.deepEqual(Buffer.from((await client.transactionData(tx.id)) ?? []), Buffer.from(bundle))
      const [item] = items
      const notOne = await client.transaction(item?.id ?? anId()).catch((error: { code?: string }) => error.code)
      assert.ok(notOne === undefined || notOne === 'INVALID_DATA_ITEM', String(notOne))
    })

    it('lists the newest items of an owner that have all the tags asked for, and no others', async () => {
      const owner = testSigner('lists')
      const other = testSigner('other owner')
      const kind = { name: 'Type', value: 'Note' }
      const signed = []
      for (const n of ['1', '2', '3']) {
        const item = await anItem({ tags: [kind, { name: 'N', value: n }], data: utf8(n) }, owner)
        await client.post(
          await client.prepare(packBundle([item, await anItem({ tags: [kind], data: utf8(n) }, other)])),
        )
        await arweave.mine()
        signed.push(item)
      }
      await client.post(await client.prepare(packBundle([await anItem({ data: utf8('untagged') }, owner)])))
      await arweave.mine()
      const found = await client.signedBy(owner.address, [kind], { limit: 2 })
      assert.deepEqual(
        found.map(({ id }) => id),
        [signed[2]?.id, signed[1]?.id],
      )
      assert.deepEqual(found[0]?.tags, signed[2]?.tags)
      const third = await client.signedBy(owner.address, [kind, { name: 'N', value: '1' }], { limit: 9 })
      assert.deepEqual(
        third.map(({ id }) => id),
        [signed[0]?.id],
      )
    })

    it('takes the same transaction again, pending or mined, without harm', async () => {
      const { bundle } = await anyBundle('again')
      const tx = await client.prepare(bundle)
      await client.post(tx)
      await client.post(tx)
      await arweave.mine()
      const mined = await client.status(tx.id)
      await client.post(tx)
      assert.deepEqual(await client.status(tx.id), mined)
    })

    it('makes different transactions of two preparations', async () => {
      const { bundle } = await anyBundle('twice')
      assert.notEqual((await client.prepare(bundle)).id, (await client.prepare(bundle)).id)
    })

    it('gives each item of a posted bundle back, byte for byte', async () => {
      const { items, bundle } = await anyBundle('items')
      await client.post(await client.prepare(bundle))
      for (const item of items) {
        const found = await client.item(item.id)
        assert.deepEqual(found && Buffer.from(found.raw), Buffer.from(item.raw))
        assert.equal(found?.owner, item.owner)
        assert.deepEqual(Buffer.from((await client.data(item.id)) ?? []), Buffer.from(item.data))
      }
    })

    it('gives items of a bundle inside a bundle', async () => {
      const inner = await anItem({ data: utf8('innermost') })
      const outer = await anItem({ tags: bundleTags, data: packBundle([inner]) })
      await client.post(await client.prepare(packBundle([outer])))
      assert.deepEqual(Buffer.from((await client.item(inner.id))?.raw ?? []), Buffer.from(inner.raw))
    })

    it('gives an uploaded item at once, also one without data, and takes it again', async () => {
      for (const data of ['something', '']) {
        const item = await anItem({ data: utf8(data), tags: [{ name: 'Upload', value: data }] })
        await client.upload(item)
        await client.upload(item)
        assert.deepEqual(Buffer.from((await client.item(item.id))?.raw ?? []), Buffer.from(item.raw))
      }
    })

    it('leaves an item with a false signature out of a bundle, and keeps the rest', async () => {
      const good = await anItem({ data: utf8('good') }, testSigner('good'))
      const bad = await anItem({ data: utf8('bad') }, testSigner('bad'))
      const raw = Buffer.from(bad.raw)
      raw.writeUInt8(raw.readUInt8(raw.length - 1) ^ 1, raw.length - 1)
      await client.post(await client.prepare(packBundle([{ id: bad.id, raw }, good])))
      assert.equal(await client.item(bad.id), undefined)
      assert.equal((await client.item(good.id))?.id, good.id)
    })

    it('knows nothing under an id that nobody sent', async () => {
      const id = anId('nobody sent this')
      assert.equal(await client.status(id), 'absent')
      assert.equal(await client.data(id), undefined)
      assert.equal(await client.item(id), undefined)
    })

    it('refuses a payload that is not of the transaction', async () => {
      const { bundle } = await anyBundle('mismatch')
      const { payload } = await client.prepare(bundle)
      const other = idFromBytes(Buffer.alloc(32, 7))
      await assert.rejects(client.post({ id: other, payload }), { code: 'INVALID_ARGUMENT' })
      await assert.rejects(client.post({ id: other, payload: utf8('{') }), { code: 'INVALID_ARGUMENT' })
    })

    it('names the newest block, one higher after each', async () => {
      const before = await client.head()
      await arweave.mine()
      const after = await client.head()
      assert.equal(after.height, before.height + 1)
      assert.match(after.hash, /^[A-Za-z0-9_-]{64}$/)
      assert.notEqual(after.hash, before.hash)
      assert.ok(after.timestamp >= before.timestamp)
      assert.ok(Math.abs(after.timestamp - Date.now()) < 60_000, 'the timestamp is in milliseconds')
    })

    it('stops waiting when the caller gives up', async () => {
      const signal = AbortSignal.abort()
      await assert.rejects(client.head({ signal }), { code: 'ABORTED' })
      await assert.rejects(client.status(anId(), { signal }), { code: 'ABORTED' })
    })
  })
}

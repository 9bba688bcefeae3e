import assert from 'node:assert/strict'
import fc from 'fast-check'
import { AoError } from '../../../src/lib/errors.ts'
import { bundleTags, packBundle, unpackBundle } from '../../../src/protocol/bundle.ts'
import { verifyDataItem } from '../../../src/protocol/data-item.ts'
import { anId, anItem } from '../../support/builders.ts'

const part = fc.record({ id: fc.string().map(text => anId<never>(text)), raw: fc.uint8Array({ maxLength: 60 }) })

describe('protocol/bundle', () => {
  it('gives back every list of items, in order', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 10 }), items => {
        const entries = unpackBundle(packBundle(items))
        assert.deepEqual(
          entries.map(({ id }) => id),
          items.map(({ id }) => id),
        )
        assert.deepEqual(
          entries.map(({ bytes }) => Buffer.from(bytes)),
          items.map(({ raw }) => Buffer.from(raw)),
        )
      }),
    )
  })

  it('reads only bytes that it would write', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 4 }), fc.nat(), fc.nat(255), (items, place, byte) => {
        const bytes = Buffer.from(packBundle(items))
        bytes[place % bytes.length] = byte
        try {
          const entries = unpackBundle(bytes)
          assert.deepEqual(
            Buffer.from(packBundle(entries.map(({ id, bytes: raw }) => ({ id: id as never, raw })))),
            bytes,
          )
        } catch (error) {
          assert.ok(error instanceof AoError && error.code === 'INVALID_DATA_ITEM', String(error))
        }
      }),
      { numRuns: 500 },
    )
  })

  it('refuses every beginning of a bundle but the whole, and bytes after it', async () => {
    const bytes = Buffer.from(packBundle([await anItem(), await anItem({ data: Buffer.from('b') })]))
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => unpackBundle(bytes.subarray(0, length)), { code: 'INVALID_DATA_ITEM' }, `${length} bytes`)
    }
    assert.throws(() => unpackBundle(Buffer.concat([bytes, Buffer.of(0)])), { code: 'INVALID_DATA_ITEM' })
  })

  it('refuses counts and lengths beyond what is there, without allocating for them', () => {
    for (const count of [2n ** 32n - 1n, 2n ** 32n, 2n ** 63n, 100_001n]) {
      const bytes = Buffer.alloc(96)
      bytes.writeBigUInt64LE(count)
      assert.throws(() => unpackBundle(bytes), { code: 'INVALID_DATA_ITEM' }, `${count} items`)
    }
    const high = Buffer.alloc(32)
    high[31] = 1
    assert.throws(() => unpackBundle(high), { code: 'INVALID_DATA_ITEM' }, 'a high byte of the count')
    assert.throws(
      () =>
        unpackBundle(packBundle([1, 2, 3].map(n => ({ id: anId<never>(`${n}`), raw: Buffer.of(n) }))), { maxItems: 2 }),
      {
        code: 'INVALID_DATA_ITEM',
      },
    )
  })

  it('carries bundles within bundles: an item whose data is a bundle again', async () => {
    const leaf = await anItem({ data: Buffer.from('leaf') })
    let item = leaf
    for (let depth = 0; depth < 5; depth++) item = await anItem({ tags: bundleTags, data: packBundle([item]) })
    for (let depth = 0; depth < 5; depth++) {
      const [entry] = unpackBundle(item.data)
      item = await verifyDataItem(entry?.bytes ?? Buffer.alloc(0))
    }
    assert.equal(item.id, leaf.id)
  })
})

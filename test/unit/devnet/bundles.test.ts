import assert from 'node:assert/strict'
import { unbundle } from '../../../src/devnet/bundles.ts'
import { bundleTags, packBundle } from '../../../src/protocol/bundle.ts'
import { anId, anItem } from '../../support/builders.ts'

const bundle = { id: anId('transaction'), tags: bundleTags }

describe('devnet/bundles', () => {
  it('opens bundles in bundles, outer items first, each with the bundle around it', async () => {
    const leaf = await anItem({ data: Buffer.from('leaf') })
    const inner = await anItem({ tags: bundleTags, data: packBundle([leaf]) })
    const { items, refused } = await unbundle(bundle, packBundle([inner, leaf]))
    assert.deepEqual(
      items.map(({ entry }) => [entry.id, entry.bundledIn]),
      [
        [inner.id, bundle.id],
        [leaf.id, inner.id],
        [leaf.id, bundle.id],
      ],
    )
    assert.equal(refused, 0)
  })

  it('opens only what says that it is a bundle', async () => {
    const data = packBundle([await anItem()])
    assert.deepEqual(await unbundle({ ...bundle, tags: bundleTags.slice(0, 1) }, data), { items: [], refused: 0 })
  })

  it('counts items whose bytes or stated id are false, and keeps the others', async () => {
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map(text => anItem({ data: Buffer.from(text) })))
    assert.ok(a && b && c)
    const changed = Buffer.from(b.raw)
    changed.writeUInt8(0xff, changed.length - 1)
    const data = packBundle([a, { id: b.id, raw: changed }, { id: anId('false'), raw: c.raw }])
    const { items, refused } = await unbundle(bundle, data)
    assert.deepEqual(
      items.map(({ entry }) => entry.id),
      [a.id],
    )
    assert.equal(refused, 2)
  })

  it('opens nothing of data that is no bundle', async () => {
    assert.deepEqual(await unbundle(bundle, Buffer.from('no bundle')), { items: [], refused: 1 })
  })
})

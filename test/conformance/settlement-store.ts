import assert from 'node:assert/strict'
import { utf8 } from '../../src/lib/bytes.ts'
import type { SettlementStore, SettlingBundle } from '../../src/ports/settlement.ts'
import { anId } from '../support/builders.ts'

/** What every SettlementStore promises. */
export function settlementStoreSuite(
  name: string,
  create: () => Promise<{ store: SettlementStore; close(): Promise<void> }>,
): void {
  describe(`SettlementStore: ${name}`, () => {
    let store: SettlementStore
    let close: () => Promise<void>

    beforeEach(async () => {
      ;({ store, close } = await create())
    })
    afterEach(() => close())

    it('begins with nothing bundled', async () => {
      assert.equal(await store.cursor(), 0)
      assert.deepEqual(await store.open(), [])
      assert.deepEqual(await store.recent(10), [])
    })

    it('moves the cursor with each bundle and keeps bundles oldest first', async () => {
      await store.add(aBundle(1, 4))
      await store.add(aBundle(5, 300))
      await store.add(aBundle(301, 301))
      assert.equal(await store.cursor(), 301)
      assert.deepEqual((await store.open()).map(plain), [aBundle(1, 4), aBundle(5, 300), aBundle(301, 301)].map(plain))
      assert.deepEqual(
        (await store.recent(2)).map(({ from }) => from),
        [301, 5],
      )
    })

    it('refuses a bundle that leaves positions out or takes some twice', async () => {
      await store.add(aBundle(1, 4))
      for (const wrong of [aBundle(6, 7), aBundle(4, 7), aBundle(1, 4), aBundle(5, 4)]) {
        await assert.rejects(store.add(wrong), { code: 'INVALID_ARGUMENT' }, `${wrong.from} to ${wrong.to}`)
      }
      assert.equal(await store.cursor(), 4)
      assert.equal((await store.recent(10)).length, 1)
    })

    it('follows a bundle through its states and drops the payload of a settled one', async () => {
      await store.add(aBundle(1, 4))
      await store.add(aBundle(5, 9))
      await store.update({ ...aBundle(1, 4), state: 'posted', posts: 1, postedAt: 99 })
      assert.deepEqual(
        (await store.open()).map(({ state }) => state),
        ['posted', 'prepared'],
      )
      await store.update({ ...aBundle(1, 4), state: 'settled', posts: 1, postedAt: 99, blockHeight: 12 })
      assert.deepEqual(
        (await store.open()).map(({ from }) => from),
        [5],
      )
      const settled = (await store.recent(10)).at(-1)
      assert.deepEqual([settled?.state, settled?.blockHeight, settled?.tx.payload.length], ['settled', 12, 0])
      assert.equal(settled?.tx.id, aBundle(1, 4).tx.id)
    })

    it('refuses to update a bundle that was never added', async () => {
      await store.add(aBundle(1, 4))
      await assert.rejects(store.update(aBundle(5, 6)), { code: 'INVALID_ARGUMENT' })
      await assert.rejects(store.update(aBundle(1, 3)), { code: 'INVALID_ARGUMENT' })
    })
  })
}

const aBundle = (from: number, to: number): SettlingBundle => ({
  tx: { id: anId(`bundle ${from}`), payload: utf8(`bytes of ${from}`) },
  from,
  to,
  state: 'prepared',
  posts: 0,
  postedAt: 0,
  blockHeight: undefined,
})

/** Buffers and Uint8Arrays with the same bytes made equal. */
const plain = (bundle: SettlingBundle): unknown => ({
  ...bundle,
  tx: { ...bundle.tx, payload: Buffer.from(bundle.tx.payload) },
})

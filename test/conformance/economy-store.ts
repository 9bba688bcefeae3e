import assert from 'node:assert/strict'
import type { EconomySnapshot, EconomyStore } from '../../src/ports/economy-store.ts'
import { anId } from '../support/builders.ts'

/** What every EconomyStore promises. */
export function economyStoreSuite(
  name: string,
  open: () => Promise<{ store: EconomyStore; close?(): Promise<void> }>,
): void {
  describe(`EconomyStore ${name}`, () => {
    const snapshot = (last: number): EconomySnapshot => ({
      last: Uint8Array.of(last, 0, 255),
      order: {
        epoch: 1,
        since: 7,
        assigned: [[3, anId('m'), 1]],
        waiting: [[anId('w'), 9]],
        ends: [null],
        held: ['AA'],
      },
      bundles: [anId('b')],
      lines: ['["balances","ü","#5"]', ''],
    })

    it('gives back the newest snapshot of each origin, and nothing of others', async () => {
      const { store, close } = await open()
      assert.equal(await store.get(anId('origin')), undefined)
      await store.put(anId('origin'), snapshot(1))
      await store.put(anId('origin'), snapshot(2))
      const found = (await store.get(anId('origin'))) ?? assert.fail('it is lost')
      assert.deepEqual({ ...found, last: [...found.last] }, { ...snapshot(2), last: [2, 0, 255] })
      assert.equal(await store.get(anId('another')), undefined)
      await close?.()
    })
  })
}

import assert from 'node:assert/strict'
import type { RouteStore } from '../../src/ports/route-store.ts'
import { anId, aProcess, processIdOf } from '../support/builders.ts'

/** What every RouteStore promises. */
export function routeStoreSuite(
  name: string,
  create: () => Promise<{ store: RouteStore; close(): Promise<void> }>,
): void {
  describe(`RouteStore: ${name}`, () => {
    it('gives back the Process items it was given, as often as they are put', async () => {
      const { store, close } = await create()
      const [a, b] = await Promise.all([aProcess({ data: 'a' }), aProcess({ data: 'b' })])
      await store.put(a)
      await store.put(b)
      await store.put(a)
      const stored = await store.get(processIdOf(a))
      assert.deepEqual(Buffer.from(stored?.raw ?? []), Buffer.from(a.raw))
      assert.equal(stored?.owner, a.owner)
      assert.equal((await store.get(processIdOf(b)))?.id, b.id)
      assert.equal(await store.get(anId('unknown')), undefined)
      await close()
    })
  })
}

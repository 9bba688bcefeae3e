import assert from 'node:assert/strict'
import type { PromisedDelivery, PromiseStore } from '../../src/ports/promise-store.ts'
import type { MessageId, ProcessId } from '../../src/protocol/ids.ts'
import { anId } from '../support/builders.ts'

/** What every PromiseStore promises. `again` opens what is stored anew, as a restart does. */
export function promiseStoreSuite(
  name: string,
  create: () => Promise<{ store: PromiseStore; again(): PromiseStore; close(): Promise<void> }>,
): void {
  describe(`PromiseStore: ${name}`, () => {
    const process = anId<ProcessId>('p')
    const row = (n: number): PromisedDelivery => ({
      ...{ process, message: anId<MessageId>(`message ${n}`), deadline: 1000 + n },
      ...{ item: Buffer.from(`item ${n}`), promise: Buffer.from(`promise ${n}`), assignment: undefined },
    })
    const plain = (one: PromisedDelivery | undefined) =>
      one && {
        ...one,
        item: Buffer.from(one.item),
        promise: Buffer.from(one.promise),
        assignment: one.assignment && Buffer.from(one.assignment),
      }
    let made: Awaited<ReturnType<typeof create>>
    beforeEach(async () => {
      made = await create()
    })
    afterEach(() => made.close())

    it('begins with none, and knows of none that it was not given', async () => {
      assert.deepEqual(await made.store.heads(), [])
      assert.equal(await made.store.get(row(1).message), undefined)
    })

    it('gives back the whole row, also after a restart, and the newest of a message alone', async () => {
      const [one, two] = [row(1), row(2)]
      for (const each of [one, two]) await made.store.put(each)
      const ordered = { ...one, assignment: Buffer.from('assignment') }
      await made.store.put(ordered)
      for (const store of [made.store, made.again()]) {
        assert.deepEqual(plain(await store.get(one.message)), ordered)
        assert.deepEqual(plain(await store.get(two.message)), two)
        const heads = [...(await store.heads())].sort((a, b) => a.deadline - b.deadline)
        const expected = [one, two].map(({ message, deadline }) => ({ process, message, deadline }))
        assert.deepEqual(heads, [
          { ...expected[0], isOrdered: true },
          { ...expected[1], isOrdered: false },
        ])
      }
    })

    it('forgets one without touching others', async () => {
      for (const each of [row(1), row(2)]) await made.store.put(each)
      await made.store.remove(row(1).message)
      await made.store.remove(row(1).message)
      assert.equal(await made.again().get(row(1).message), undefined)
      assert.deepEqual(
        (await made.again().heads()).map(({ deadline }) => deadline),
        [1002],
      )
    })
  })
}

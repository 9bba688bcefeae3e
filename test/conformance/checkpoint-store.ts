import assert from 'node:assert/strict'
import type { CheckpointStore } from '../../src/ports/checkpoint-store.ts'
import type { Assignment } from '../../src/protocol/assignment.ts'
import type { Nonce, ProcessId } from '../../src/protocol/ids.ts'
import { anId, aProcess, messages, processIdOf, schedule } from '../support/builders.ts'
import { aCheckpoint } from '../support/checkpoints.ts'
import { SeededRandom } from '../support/random.ts'

/** What every CheckpointStore promises. */
export function checkpointStoreSuite(
  name: string,
  create: () => Promise<{ store: CheckpointStore; close(): Promise<void> }>,
): void {
  describe(`CheckpointStore: ${name}`, () => {
    let store: CheckpointStore
    let close: () => Promise<void>
    let assignments: readonly Assignment[]
    let others: readonly Assignment[]
    let process: ProcessId
    const keepAll = (nonces: readonly Nonce[]): readonly Nonce[] => nonces
    const at = (nonce: number): Assignment => assignments[nonce] as Assignment
    const elsewhere = (nonce: number): Assignment => others[nonce] as Assignment

    before(async () => {
      const item = await aProcess()
      const other = await aProcess({ data: 'another' })
      process = processIdOf(item)
      assignments = (await schedule(item, await messages(item, 9))).map(({ assignment }) => assignment)
      others = (await schedule(other, await messages(other, 3))).map(({ assignment }) => assignment)
    })
    beforeEach(async () => {
      ;({ store, close } = await create())
    })
    afterEach(() => close())

    it('has nothing at first', async () => {
      assert.deepEqual(await store.nonces(process), [])
      assert.equal(await store.get(process, 0 as Nonce), undefined)
      assert.deepEqual(await store.totals(), { processes: 0, checkpoints: 0, pages: 0, bytes: 0 })
      await store.remove(process, [0 as Nonce])
    })

    it('gives back a checkpoint as it was put, again and again, though images are handed over', async () => {
      const expected = aCheckpoint(at(2), [1, 2, 3])
      const given = aCheckpoint(at(2), [1, 2, 3])
      await store.put(given, keepAll)
      for (const page of given.image.pages) page.bytes.fill(0)
      for (let i = 0; i < 2; i++) {
        const found = await store.get(process, 2 as Nonce)
        assert.deepEqual({ ...found, assignment: undefined }, { ...expected, assignment: undefined })
        assert.equal(found?.assignment.id, at(2).id)
        for (const { bytes } of found?.image.pages ?? []) structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
      }
    })

    it('lists nonces newest first, of each Process its own', async () => {
      for (const nonce of [1, 9, 3]) await store.put(aCheckpoint(at(nonce), [nonce]), keepAll)
      await store.put(aCheckpoint(elsewhere(2), [1]), keepAll)
      assert.deepEqual(await store.nonces(process), [9, 3, 1])
      assert.deepEqual(await store.nonces(elsewhere(0).process), [2])
      assert.deepEqual(await store.nonces(anId<ProcessId>('nobody')), [])
    })

    it('keeps what the rule picks, and asks it about all of them, newest first', async () => {
      const asked: (readonly Nonce[])[] = []
      const lastTwo = (nonces: readonly Nonce[]): readonly Nonce[] => {
        asked.push(nonces)
        return nonces.slice(0, 2)
      }
      for (const nonce of [0, 2, 4, 3]) await store.put(aCheckpoint(at(nonce), [nonce, 7]), lastTwo)
      assert.deepEqual(asked, [[0], [2, 0], [4, 2, 0], [4, 3, 2]])
      assert.deepEqual(await store.nonces(process), [4, 3])
      assert.equal(await store.get(process, 2 as Nonce), undefined)
      assert.equal((await store.totals()).pages, 3)
    })

    it('keeps an equal page once, for as long as any checkpoint of any Process needs it', async () => {
      await store.put(aCheckpoint(at(1), [1, 2, 2]), keepAll)
      await store.put(aCheckpoint(at(2), [1, 3]), keepAll)
      await store.put(aCheckpoint(elsewhere(1), [1, 4]), keepAll)
      assert.deepEqual({ ...(await store.totals()), bytes: 0 }, { processes: 2, checkpoints: 3, pages: 4, bytes: 0 })
      await store.remove(process, [1 as Nonce, 2 as Nonce])
      assert.deepEqual({ ...(await store.totals()), bytes: 0 }, { processes: 1, checkpoints: 1, pages: 2, bytes: 0 })
      assert.equal((await store.get(elsewhere(1).process, 1 as Nonce))?.image.pages.length, 2)
      await store.remove(elsewhere(1).process, [1 as Nonce])
      assert.deepEqual(await store.totals(), { processes: 0, checkpoints: 0, pages: 0, bytes: 0 })
    })

    it('replaces a checkpoint of the same nonce', async () => {
      await store.put(aCheckpoint(at(1), [1, 2]), keepAll)
      await store.put(aCheckpoint(at(1), [2, 3]), keepAll)
      assert.deepEqual({ ...(await store.totals()), bytes: 0 }, { processes: 1, checkpoints: 1, pages: 2, bytes: 0 })
      assert.deepEqual((await store.get(process, 1 as Nonce))?.image, aCheckpoint(at(1), [2, 3]).image)
    })

    it('has every checkpoint whole after any mix of changes at once', async () => {
      const random = new SeededRandom(7)
      const pick = (count: number): number => random.below(count)
      for (let round = 0; round < 6; round++) {
        await Promise.all(
          Array.from({ length: 12 }, async () => {
            const nonce = pick(6)
            const list = pick(2) === 0 ? assignments : others.concat(assignments.slice(4))
            const assignment = list[nonce] as Assignment
            if (pick(4) === 0) return store.remove(assignment.process, [nonce as Nonce])
            if (pick(5) === 0) return store.sweep(3)
            return store.put(aCheckpoint(assignment, [pick(5), 10 + pick(5), 20 + pick(5)]), all =>
              all.slice(0, 1 + pick(4)),
            )
          }),
        )
        const pages = new Set<string>()
        for (const id of [process, elsewhere(0).process]) {
          for (const nonce of await store.nonces(id)) {
            const checkpoint = await store.get(id, nonce)
            assert.ok(checkpoint, `${nonce}`)
            for (const { hash } of checkpoint.image.pages) pages.add(hash)
          }
        }
        assert.equal((await store.totals()).pages, pages.size)
      }
    })
  })
}

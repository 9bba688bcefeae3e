import assert from 'node:assert/strict'
import { silentLogger } from '../../../src/lib/telemetry.ts'
import type { Assignment } from '../../../src/protocol/assignment.ts'
import type { Id, Nonce } from '../../../src/protocol/ids.ts'
import { checkpointTables } from '../../../src/storage/checkpoint-tables.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelCheckpointStore } from '../../../src/storage/level-checkpoint-store.ts'
import { packPage } from '../../../src/storage/page-codec.ts'
import { del, put, type Store } from '../../../src/storage/store.ts'
import { aProcess, messages, schedule, withTempDir } from '../../support/builders.ts'
import { aCheckpoint } from '../../support/checkpoints.ts'

const all = <T>(nonces: readonly T[]): readonly T[] => nonces

describe('damaged checkpoints', () => {
  let rows: readonly Assignment[]
  const at = (nonce: number): Assignment => rows[nonce] as Assignment
  const withStore = (use: (store: Store, checkpoints: LevelCheckpointStore) => Promise<void>): Promise<void> =>
    withTempDir(async dir => {
      const store = await openStore(dir, { log: silentLogger })
      try {
        await use(store, new LevelCheckpointStore(store))
      } finally {
        await store.close()
      }
    })
  const sweepAll = async (checkpoints: LevelCheckpointStore): Promise<number> => {
    for (let removed = 0; ; ) {
      const swept = await checkpoints.sweep(2)
      removed += swept.removed
      if (swept.done) return removed
    }
  }

  before(async () => {
    const item = await aProcess()
    rows = (await schedule(item, await messages(item, 4))).map(({ assignment }) => assignment)
  })

  it('are noticed whatever byte of the manifest has changed, and removed', () =>
    withStore(async (store, checkpoints) => {
      const { process } = at(1)
      const key = checkpointTables.manifestKey(process, 1 as Nonce)
      await checkpoints.put(aCheckpoint(at(1), [1, 2]), all)
      const manifest = Buffer.from((await store.get(key)) ?? [])
      for (let i = 0; i < manifest.length; i += 37) {
        const bent = Buffer.from(manifest)
        bent.writeUInt8(bent.readUInt8(i) ^ 1, i)
        await checkpoints.put(aCheckpoint(at(1), [1, 2]), all)
        await store.write([put(key, bent)])
        await assert.rejects(checkpoints.get(process, 1 as Nonce), { code: 'STORE_CORRUPT' }, `byte ${i}`)
        assert.deepEqual(await checkpoints.nonces(process), [])
      }
      await checkpoints.put(aCheckpoint(at(1), [1, 2]), all)
      assert.ok(await checkpoints.get(process, 1 as Nonce))
    }))

  it('are noticed when a page is missing, cut, another or larger, and mended by the next that has the page', () =>
    withStore(async (store, checkpoints) => {
      const { process } = at(1)
      const hash = aCheckpoint(at(1), [1, 2]).image.pages[1]?.hash as Id
      const key = checkpointTables.pageKey(hash)
      const packed = await packPage(aCheckpoint(at(1), [1, 2]).image.pages[1]?.bytes ?? new Uint8Array())
      const bomb = await packPage(new Uint8Array(10 << 20))
      const other = await packPage(new Uint8Array(65_536).fill(9))
      for (const op of [del(key), put(key, packed.subarray(0, 20)), put(key, other), put(key, bomb)]) {
        await checkpoints.put(aCheckpoint(at(1), [1, 2]), all)
        await checkpoints.put(aCheckpoint(at(2), [2, 3]), all)
        await checkpoints.put(aCheckpoint(at(3), [4]), all)
        await store.write([op])
        await assert.rejects(checkpoints.get(process, 1 as Nonce), { code: 'STORE_CORRUPT' })
        assert.deepEqual(await checkpoints.nonces(process), [3, 2])
        await checkpoints.put(aCheckpoint(at(4), [2]), all)
        assert.ok(await checkpoints.get(process, 2 as Nonce), 'mended')
        await checkpoints.remove(process, [2 as Nonce, 3 as Nonce, 4 as Nonce])
      }
      assert.equal(await sweepAll(checkpoints), 0)
      const { processes, checkpoints: left } = await checkpoints.totals()
      assert.deepEqual([processes, left], [0, 0])
    }))

  it('count anew when the row of totals is damaged', () =>
    withStore(async (store, checkpoints) => {
      await checkpoints.put(aCheckpoint(at(1), [1, 2]), all)
      await store.write([put(checkpointTables.totalsKey, Buffer.from('{'))])
      assert.equal((await checkpoints.totals()).checkpoints, 0)
      await checkpoints.remove(at(1).process, [1 as Nonce])
      assert.deepEqual(await checkpoints.totals(), { processes: 0, checkpoints: 0, pages: 0, bytes: 0 })
    }))

  it('leave pages behind that the sweep finds, and only those', () =>
    withStore(async (store, checkpoints) => {
      const { process } = at(1)
      await checkpoints.put(aCheckpoint(at(1), [1, 2, 3, 4]), all)
      await checkpoints.put(aCheckpoint(at(2), [3, 4, 5]), all)
      await store.write([put(checkpointTables.manifestKey(process, 1 as Nonce), Buffer.from('nonsense'))])
      await assert.rejects(checkpoints.get(process, 1 as Nonce), { code: 'STORE_CORRUPT' })
      assert.equal((await checkpoints.totals()).pages, 5)
      assert.equal(await sweepAll(checkpoints), 6) // four refs, and the two pages that only they named
      assert.equal((await checkpoints.totals()).pages, 3)
      assert.ok(await checkpoints.get(process, 2 as Nonce))
    }))
})

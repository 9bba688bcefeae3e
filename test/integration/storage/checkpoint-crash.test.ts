import assert from 'node:assert/strict'
import { on } from 'node:events'
import { sleep } from '../../../src/lib/abort.ts'
import { silentLogger } from '../../../src/lib/telemetry.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelCheckpointStore } from '../../../src/storage/level-checkpoint-store.ts'
import { aProcess, processIdOf, withTempDir } from '../../support/builders.ts'
import { forkScript, killHard } from '../../support/fork.ts'
import { SeededRandom, testSeed } from '../../support/random.ts'

const childFile = import.meta.url.endsWith('.ts') ? './checkpoint-child.ts' : './checkpoint-child.js'
/** In `npm run test:slow` as many as find rare moments. */
const crashes = process.env['AONET_SLOW_TESTS'] === '1' ? 60 : 6

describe('checkpoints over kill -9', function () {
  this.timeout(240_000)

  it(`are all whole, none of them half there and no page left over, after each of ${crashes} crashes`, () =>
    withTempDir(async dir => {
      const processes = await Promise.all(['a', 'b', 'c'].map(async data => processIdOf(await aProcess({ data }))))
      const seed = testSeed()
      for (let round = 0; round < crashes; round++) {
        await writeUntilKilled(dir, seed + round)
        const store = await openStore(dir, { log: silentLogger })
        try {
          await assertWhole(new LevelCheckpointStore(store), processes)
        } catch (error) {
          throw new Error(`TEST_SEED=${seed}, round ${round}`, { cause: error })
        } finally {
          await store.close()
        }
      }
    }))
})

/** Kills the child in the middle of whatever it does after so many checkpoints were written. */
async function writeUntilKilled(dir: string, seed: number): Promise<void> {
  const child = forkScript(new URL(childFile, import.meta.url), [dir, String(seed)])
  try {
    let written = 0
    for await (const _ of on(child, 'message', { close: ['exit'] })) if (++written >= 40 + (seed % 17)) break
    assert.ok(written >= 40, 'the child ended by itself')
    // Right after one was written the next is not being written yet: any moment will do.
    await sleep(new SeededRandom(seed).below(30))
  } finally {
    await killHard(child)
  }
}

async function assertWhole(store: LevelCheckpointStore, processes: readonly ProcessId[]): Promise<void> {
  const pages = new Set<string>()
  let [checkpoints, known] = [0, 0]
  for (const process of processes) {
    const nonces = await store.nonces(process)
    known += nonces.length > 0 ? 1 : 0
    for (const nonce of nonces) {
      const found = await store.get(process, nonce) // rejects if anything of it is missing or damaged
      assert.ok(found)
      checkpoints++
      for (const { hash } of found.image.pages) pages.add(hash)
    }
  }
  assert.ok(checkpoints > 0)
  assert.deepEqual(
    { ...(await store.totals()), bytes: 0 },
    { processes: known, checkpoints, pages: pages.size, bytes: 0 },
  )
  for (let done = false; !done; ) {
    const swept = await store.sweep(50)
    assert.equal(swept.removed, 0, 'something was left over')
    done = swept.done
  }
}

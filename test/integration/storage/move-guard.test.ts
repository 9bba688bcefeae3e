import assert from 'node:assert/strict'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { silentLogger } from '../../../src/lib/telemetry.ts'
import { exportFrom, importInto } from '../../../src/node/move-guard.ts'
import { checkMark, markOf } from '../../../src/storage/directory-mark.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelAssignmentLog } from '../../../src/storage/level-assignment-log.ts'
import { LevelSignGuard } from '../../../src/storage/level-sign-guard.ts'
import type { Store } from '../../../src/storage/store.ts'
import { aProcess, messages, processIdOf, schedule, testJwk, withTempDir } from '../../support/builders.ts'

async function using(dir: string, use: (store: Store) => Promise<void>): Promise<void> {
  const store = await openStore(join(dir, 'store'), { log: silentLogger })
  try {
    await use(store)
  } finally {
    await store.close()
  }
}

describe('node/move guard', () => {
  it('tells the new directory how far the key has signed, and retires the old one', () =>
    withTempDir(async root => {
      const [old, fresh] = [join(root, 'old'), join(root, 'fresh')]
      await mkdir(old)
      await writeFile(join(old, 'key.json'), JSON.stringify(testJwk('su')), { mode: 0o600 })
      await cp(old, fresh, { recursive: true })
      const item = await aProcess()
      await using(old, async store => {
        await checkMark(store, markOf(old), { confirmed: false })
        await new LevelAssignmentLog(store).append(await schedule(item, await messages(item, 5)))
      })

      let file = ''
      await exportFrom(old, exported => {
        file = JSON.stringify(exported)
      })
      await importInto(fresh, JSON.parse(file))

      await using(fresh, async store =>
        assert.equal((await new LevelSignGuard(store).floor(processIdOf(item)))?.nonce, 5),
      )
      await using(old, store =>
        assert.rejects(checkMark(store, markOf(old), { confirmed: false }), {
          code: 'STORE_LOCKED',
          message: /exported/,
        }),
      )
    }))

  it('leaves a directory in use when the file could not be written', () =>
    withTempDir(async dir => {
      await writeFile(join(dir, 'key.json'), JSON.stringify(testJwk('su')), { mode: 0o600 })
      await using(dir, store => checkMark(store, markOf(dir), { confirmed: false }))
      const failing = (): void => {
        throw new Error('disk full')
      }
      await assert.rejects(exportFrom(dir, failing), { message: 'disk full' })
      await using(dir, store => checkMark(store, markOf(dir), { confirmed: false }))
    }))
})

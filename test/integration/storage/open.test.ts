import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, truncate, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AoError } from '../../../src/lib/errors.ts'
import { silentLogger } from '../../../src/lib/telemetry.ts'
import type { Nonce } from '../../../src/protocol/ids.ts'
import { idPart, KeySpace, u64 } from '../../../src/storage/keys.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelAssignmentLog } from '../../../src/storage/level-assignment-log.ts'
import { firstEntry, put } from '../../../src/storage/store.ts'
import { aProcess, schedule, withTempDir } from '../../support/builders.ts'

const damages: readonly (readonly [what: string, damage: (dir: string) => Promise<void>])[] = [
  ['a MANIFEST of garbage', async dir => writeFile(await manifest(dir), Buffer.alloc(200, 0x5a))],
  ['an empty MANIFEST', async dir => truncate(await manifest(dir), 0)],
  ['a MANIFEST cut in the middle', async dir => truncate(await manifest(dir), 20)],
  ['a missing MANIFEST', async dir => unlink(await manifest(dir))],
  ['a missing CURRENT', dir => unlink(join(dir, 'CURRENT'))],
  ['a CURRENT that names nothing', dir => writeFile(join(dir, 'CURRENT'), 'MANIFEST-999999\n')],
]

async function manifest(dir: string): Promise<string> {
  return join(dir, (await readFile(join(dir, 'CURRENT'), 'utf8')).trim())
}

const open = (dir: string) => openStore(dir, { log: silentLogger })

describe('opening a store', () => {
  it('makes it where nothing is, in nested new directories too, and finds it again', () =>
    withTempDir(async parent => {
      const dir = join(parent, 'a', 'b')
      const first = await open(dir)
      await new LevelAssignmentLog(first).append(await schedule(await aProcess()))
      await first.close()
      await first.close()
      const second = await open(dir)
      assert.equal(await new LevelAssignmentLog(second).size(), 1)
      await second.close()
    }))

  it('refuses a second opener with STORE_LOCKED, naming the directory and the next step', () =>
    withTempDir(async dir => {
      const store = await open(dir)
      const error = await failure(open(dir))
      assert.equal(error.code, 'STORE_LOCKED')
      assert.equal((error.cause as { code?: string }).code, 'LEVEL_LOCKED')
      assert.equal(error.facts['dir'], dir)
      assert.match(error.hint ?? '', /Another node is running on/)
      await store.close()
      await (await open(dir)).close()
    }))

  for (const [what, damage] of damages) {
    it(`says STORE_CORRUPT for ${what}, with the next step`, () =>
      withTempDir(async dir => {
        const store = await open(dir)
        await new LevelAssignmentLog(store).append(await schedule(await aProcess()))
        await store.close()
        await damage(dir)
        const error = await failure(open(dir))
        assert.equal(error.code, 'STORE_CORRUPT', error.message)
        assert.match(error.hint ?? '', /Restore/)
      }))
  }

  it('says STORE_CORRUPT for a store of a newer version, and to upgrade', () =>
    withTempDir(async dir => {
      const store = await open(dir)
      await store.write([put(new KeySpace('meta').key(Buffer.from('format')), u64(2))])
      await store.close()
      const error = await failure(open(dir))
      assert.equal(error.code, 'STORE_CORRUPT')
      assert.deepEqual([error.facts['found'], error.facts['known']], [2, 1])
      assert.match(error.hint ?? '', /Upgrade/)
    }))

  it('says INVALID_CONFIG for a file, a foreign directory and one it may not write to', () =>
    withTempDir(async dir => {
      const file = join(dir, 'file')
      await writeFile(file, '')
      assert.equal((await failure(open(file))).code, 'INVALID_CONFIG')
      assert.equal((await failure(open(join(file, 'under')))).code, 'INVALID_CONFIG')
      const foreign = await failure(open(dir))
      assert.equal(foreign.code, 'INVALID_CONFIG')
      assert.deepEqual(await readdir(dir), ['file'], 'it left the directory as it was')
      if (process.getuid?.() !== 0) {
        const closed = join(dir, 'closed')
        await mkdir(closed)
        await chmod(closed, 0o500)
        assert.equal((await failure(open(closed))).code, 'INVALID_CONFIG')
        await chmod(closed, 0o700)
      }
    }))

  it('says STORE_CORRUPT for a row that it finds changed', () =>
    withTempDir(async dir => {
      const store = await open(dir)
      const log = new LevelAssignmentLog(store)
      const entries = await schedule(await aProcess())
      await log.append(entries)
      const process = entries[0]?.assignment.process
      assert.ok(process)
      const rows = new KeySpace('log').range(idPart(process))
      const [key, value] = (await firstEntry(store, rows)) ?? assert.fail('no row')
      const wrongType = Buffer.from(value)
      wrongType.writeUInt8(99, 4)
      for (const damaged of [value.subarray(0, 300), value.subarray(0, 2), wrongType]) {
        await store.write([put(key, damaged)])
        const reader = new LevelAssignmentLog(store) // the writer has the row at hand
        await assert.rejects(reader.at(process, 0 as Nonce), { code: 'STORE_CORRUPT' })
      }
      await store.close()
    }))

  it('answers STOPPING after it was closed, to writers and readers', () =>
    withTempDir(async dir => {
      const store = await open(dir)
      const log = new LevelAssignmentLog(store)
      const entries = await schedule(await aProcess())
      const last = log.append(entries).catch(() => undefined)
      await new Promise(resolve => setImmediate(resolve))
      await store.close()
      await last
      await assert.rejects(log.append(entries), { code: 'STOPPING' })
      await assert.rejects(log.size(), { code: 'STOPPING' })
    }))
})

async function failure(promise: Promise<unknown>): Promise<AoError> {
  const error = await promise.then(
    () => assert.fail('it opened'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof AoError, String(error))
  return error
}

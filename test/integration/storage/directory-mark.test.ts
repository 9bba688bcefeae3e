import assert from 'node:assert/strict'
import { cp, mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { silentLogger } from '../../../src/lib/telemetry.ts'
import { checkMark, type DirectoryMark, markOf, retireMark } from '../../../src/storage/directory-mark.ts'
import { openStore } from '../../../src/storage/level.ts'
import type { Store } from '../../../src/storage/store.ts'
import { withTempDir } from '../../support/builders.ts'

const sure = { confirmed: true }
const unsure = { confirmed: false }

/** A node's look at its directory: what it does before it opens any door. */
async function look(dir: string, { confirmed }: typeof sure | typeof unsure, mark?: DirectoryMark): Promise<void> {
  await using(join(dir, 'store'), store => checkMark(store, mark ?? markOf(dir), { confirmed }))
}

async function using(dir: string, use: (store: Store) => Promise<void>): Promise<void> {
  const store = await openStore(dir, { log: silentLogger })
  try {
    await use(store)
  } finally {
    await store.close()
  }
}

describe('storage/directory mark', () => {
  it('knows its directory again, also under another name', () =>
    withTempDir(async root => {
      const dir = join(root, 'node')
      await mkdir(dir)
      await look(dir, unsure)
      await look(dir, unsure)
      await rename(dir, join(root, 'renamed'))
      await look(join(root, 'renamed'), unsure)
    }))

  it('refuses a copy with STORE_LOCKED until the operator confirms it, and then the first one', () =>
    withTempDir(async root => {
      const [dir, copy] = [join(root, 'node'), join(root, 'copy')]
      await mkdir(dir)
      await look(dir, unsure)
      await cp(dir, copy, { recursive: true })
      await assert.rejects(look(copy, unsure), { code: 'STORE_LOCKED', message: /not the directory/ })
      await assert.rejects(look(copy, unsure), { code: 'STORE_LOCKED' }, 'asking twice is no confirmation')
      await look(dir, unsure)
      await look(copy, sure)
      await look(copy, unsure)
    }))

  it('says which of machine, disk and directory differs', () =>
    withTempDir(async dir => {
      await look(dir, unsure)
      const mark = markOf(dir)
      const differing: [DirectoryMark, RegExp][] = [
        [{ ...mark, machine: 'another' }, /another machine/],
        [{ ...mark, device: mark.device + 1 }, /another disk/],
        [{ ...mark, inode: mark.inode + 1 }, /not the directory/],
      ]
      for (const [other, message] of differing) await assert.rejects(look(dir, unsure, other), { message })
    }))

  it('asks for a confirmation once its sign guard was exported', () =>
    withTempDir(async dir => {
      await look(dir, unsure)
      await using(join(dir, 'store'), retireMark)
      await assert.rejects(look(dir, unsure), { code: 'STORE_LOCKED', message: /exported/ })
      await look(dir, sure)
      await look(dir, unsure)
    }))
})

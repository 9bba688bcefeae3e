import assert from 'node:assert/strict'
import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FullDiskSeen } from './full-disk-child.ts'

/** Disks of its own need Linux and its permission. */
const mayMount = (): boolean => spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0

describe('a store on a disk that fills up', function () {
  this.timeout(60_000)

  it('refuses to write before it is full, is read meanwhile, goes on once there is room, and has lost nothing', async function () {
    if (!mayMount()) this.skip()
    const cwd = mkdtempSync(join(tmpdir(), 'aonet-'))
    try {
      const program = fileURLToPath(new URL('./full-disk-child.js', import.meta.url))
      const child = fork(program, { cwd, execPath: 'unshare', execArgv: ['-rm', process.execPath] })
      const ended = once(child, 'exit').then(([code]) =>
        assert.fail(`it ended with ${code} before it had seen anything`),
      )
      const [seen] = (await Promise.race([once(child, 'message'), ended])) as [FullDiskSeen]
      await ended.catch(() => undefined)
      assert.deepEqual(seen.refused, { code: 'LOG_WRITE_FAILED', message: 'the disk is nearly full' })
      assert.deepEqual([seen.isRead, seen.isDeleted], [true, true])
      assert.ok(seen.written > 20, String(seen.written))
      assert.equal(seen.writtenAfter, seen.written + 21)
      assert.equal(seen.kept, seen.writtenAfter - 1)
    } finally {
      rmSync(cwd, { recursive: true, force: true })
    }
  })
})

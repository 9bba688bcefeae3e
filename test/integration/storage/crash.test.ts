import assert from 'node:assert/strict'
import { on, once } from 'node:events'
import { silentLogger } from '../../../src/lib/telemetry.ts'
import { type Assignment, checkFollows } from '../../../src/protocol/assignment.ts'
import type { Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelAssignmentLog } from '../../../src/storage/level-assignment-log.ts'
import { withTempDir } from '../../support/builders.ts'
import { forkScript, killHard } from '../../support/fork.ts'

interface Ack {
  readonly process: ProcessId
  readonly nonce: Nonce
  readonly id: string
}

describe('the assignment log over kill -9', function () {
  this.timeout(60_000)

  it('has every acknowledged row, unchanged and without gaps, after each of three crashes', () =>
    withTempDir(async dir => {
      const acknowledged: Ack[] = []
      for (const round of ['1', '2', '3']) {
        acknowledged.push(...(await appendUntilKilled(dir, round)))
        const store = await openStore(dir, { log: silentLogger })
        try {
          await assertWhole(new LevelAssignmentLog(store), acknowledged)
        } finally {
          await store.close()
        }
      }
    }))

  it('says LOG_WRITE_FAILED when the disk is full, and opens again with every acknowledged row', async () => {
    await withTempDir(async dir => {
      const acknowledged: Ack[] = []
      // The shell's limit on the size of a file stands in for a full disk: 512 blocks of 512 or 1024 bytes.
      const child = forkScript(new URL(childFile, import.meta.url), [dir, 'full'], {
        execPath: '/bin/sh',
        execArgv: ['-c', 'ulimit -f 512; exec "$0" "$@"', process.execPath, ...process.execArgv],
      })
      let failed: string | undefined
      child.on('message', (message: Ack & { failed?: string }) => {
        if (message.failed === undefined) acknowledged.push(message)
        else {
          failed = message.failed
          child.disconnect()
        }
      })
      await once(child, 'disconnect')
      await killHard(child)
      assert.equal(failed, 'LOG_WRITE_FAILED')
      const store = await openStore(dir, { log: silentLogger })
      await assertWhole(new LevelAssignmentLog(store), acknowledged)
      await store.close()
    })
  })
})

const childFile = import.meta.url.endsWith('.ts') ? './append-child.ts' : './append-child.js'

/** Lets the child write until some rows of this round are known to be on disk, then kills it in the middle of more. */
async function appendUntilKilled(dir: string, round: string): Promise<readonly Ack[]> {
  const child = forkScript(new URL(childFile, import.meta.url), [dir, round])
  const acknowledged: Ack[] = []
  try {
    for await (const [ack] of on(child, 'message', { close: ['exit'] })) {
      acknowledged.push(ack as Ack)
      if (acknowledged.length >= 100) break
    }
    assert.equal(child.exitCode, null, 'the child ended by itself')
  } finally {
    await killHard(child)
  }
  return acknowledged
}

async function assertWhole(log: LevelAssignmentLog, acknowledged: readonly Ack[]): Promise<void> {
  for (const { process, nonce, id } of acknowledged) {
    assert.equal((await log.at(process, nonce))?.id, id, `the acknowledged nonce ${nonce} of ${process} is lost`)
  }
  let entries = 0
  for (const process of new Set(acknowledged.map(ack => ack.process))) {
    let previous: Assignment | undefined
    for await (const { assignment, message } of log.read(process, { from: 0 as Nonce })) {
      checkFollows(process, previous, assignment)
      assert.equal(message?.id, assignment.message)
      assert.equal((await log.find(process, assignment.message))?.nonce, assignment.nonce)
      previous = assignment
      entries++
    }
    assert.equal((await log.tail(process))?.id, previous?.id)
  }
  const all = await log.readAll(0, 1_000_000)
  assert.equal(all.length, entries, 'every row has one position')
  assert.equal(await log.size(), entries)
  assert.ok(
    all.every(({ position }, i) => position === i + 1),
    'positions have no gap',
  )
}

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger, silentTelemetry } from '../../../src/lib/telemetry.ts'
import type { Nonce } from '../../../src/protocol/ids.ts'
import { emptyOutbox } from '../../../src/protocol/result.ts'
import { DiskRoom } from '../../../src/storage/disk-room.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelResultStore } from '../../../src/storage/level-result-store.ts'
import { anId, aProcess, messages, processIdOf, schedule } from '../../support/builders.ts'

describe('storage: Results that the disk has no room for', () => {
  it('are shown to nobody, and stored once there is room', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'aonet-refused-'))
    let freeBytes = 2 ** 40
    let now = 0
    const clock = { ...systemClock, now: () => (now += 10_000) } // each look at the disk is a new one
    const room = new DiskRoom({ ...silentTelemetry, clock, freeBytes: () => freeBytes }, { dir, minFreeBytes: 2 ** 30 })
    const store = await openStore(dir, { log: silentLogger, room })
    try {
      const results = new LevelResultStore(store)
      const item = await aProcess()
      const [{ assignment } = { assignment: undefined }] = await schedule(item, await messages(item, 1))
      assert.ok(assignment)
      const process = processIdOf(item)
      const nonce = 0 as Nonce
      const said = { outbox: emptyOutbox, output: '', error: undefined, gasUsed: 1n }
      const result = { ...said, process, nonce, stateRoot: anId('state'), stateNonce: nonce }
      const row = { assignment, result, attestation: new Uint8Array(3) }
      let shown = 0
      const put = (): Promise<void> =>
        results.putAll([{ row }], { onWriting: () => (shown += results.writing(process, nonce) ? 1 : 100) })

      freeBytes = 0
      await assert.rejects(put(), { code: 'LOG_WRITE_FAILED' })
      assert.deepEqual(
        [shown, results.writing(process, nonce), await results.get(process, nonce)],
        [0, undefined, undefined],
      )
      freeBytes = 2 ** 40
      await put()
      assert.equal(shown, 1)
      assert.equal(results.writing(process, nonce), undefined)
      assert.ok(await results.get(process, nonce))
    } finally {
      await store.close()
      await rm(dir, { recursive: true, force: true })
    }
  })
})

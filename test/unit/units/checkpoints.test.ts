import assert from 'node:assert/strict'
import { AoError } from '../../../src/lib/errors.ts'
import type { Checkpoint, CheckpointStore } from '../../../src/ports/checkpoint-store.ts'
import type { Nonce } from '../../../src/protocol/ids.ts'
import { MemoryResultStore } from '../../../src/storage/memory.ts'
import { keepSpaced } from '../../../src/units/compute/retention.ts'
import { anId, messages } from '../../support/builders.ts'
import { at, computeBench } from '../../support/compute-bench.ts'
import { eventually } from '../../support/eventually.ts'

describe('units/compute: checkpoints', () => {
  const bench = computeBench()
  const keepAll = (nonces: readonly Nonce[]): readonly Nonce[] => nonces
  const handled = (): unknown[] => bench.pool.handled.map(message => message['Nonce'])
  const count = async (nonce: number, unit = bench.unit): Promise<number> =>
    ((await unit.result(bench.process, at(nonce))).result.output as { count: number }).count
  /** Evaluates up to there and stops the unit, which then has a checkpoint of it. */
  const checkpointAt = async (nonce: number): Promise<Checkpoint> => {
    bench.unit = bench.aUnit({ notWorthMs: 0 })
    await bench.unit.result(bench.process, at(nonce))
    await bench.unit.stop()
    const checkpoint = await bench.checkpoints.get(bench.process, at(nonce))
    assert.ok(checkpoint)
    bench.pool.handled.length = 0
    return checkpoint
  }

  it('goes on after a clean stop from where it was, reading and evaluating only what is new', async () => {
    await bench.arrange('recorder', to => messages(to, 9))
    await checkpointAt(5)
    bench.su.reads = []
    assert.equal(await count(7, bench.aUnit()), 8)
    assert.deepEqual(handled(), [6, 7])
    assert.deepEqual(
      bench.su.reads.map(({ from }) => from),
      [6],
    )
  })

  it('saves one whenever a replay since the last would take too long, beside the evaluation', async () => {
    await bench.arrange('recorder', to => messages(to, 20))
    bench.pool.usageOfEach = { handledMs: 99, residentBytes: 1000 } // and one millisecond to read it
    bench.unit = bench.aUnit({ checkpointAfterMs: 500 })
    const put = bench.checkpoints.put.bind(bench.checkpoints)
    let release: () => void = () => undefined
    const held = new Promise<void>(resolve => {
      release = resolve
    })
    bench.checkpoints.put = async (...given: Parameters<CheckpointStore['put']>) => {
      await held
      return put(...given)
    }
    assert.equal(await count(12), 13) // while the first is still being written
    assert.deepEqual(await bench.checkpoints.nonces(bench.process), [])
    release()
    assert.equal(await count(20), 21)
    await eventually('the first checkpoint', async () => (await bench.checkpoints.nonces(bench.process)).length > 0)
    const after = bench.aUnit() // as after kill -9: the other was not stopped
    bench.pool.handled.length = 0
    const { data } = { data: await after.dryRun(bench.process, { owner: 'me', tags: [], data: 'x' }) }
    assert.equal((data.output as { count: number }).count, 22)
    assert.ok(Number(handled()[0]) >= 5, `replayed from ${handled()[0]}`)
  })

  it('counts cron messages in, and goes on with those that come after', async () => {
    const crons = { tags: [{ name: 'Cron-Interval', value: '10-seconds' }], stepMs: 25_000 }
    await bench.arrange('recorder', to => messages(to, 6), crons)
    await bench.unit.result(bench.process, at(6))
    const expected = await Promise.all([4, 5, 6].map(nonce => bench.unit.result(bench.process, at(nonce))))
    bench.results = new MemoryResultStore()
    const checkpoint = await checkpointAt(3)
    assert.equal(checkpoint.image.applied, 4 + 3 * 2 + 1) // two or three crons between two messages
    const unit = bench.aUnit()
    const again = [4, 5, 6].map(async nonce => unit.result(bench.process, at(nonce)))
    assert.deepEqual(await Promise.all(again), expected)
    assert.equal(handled()[0], undefined) // a cron
    assert.deepEqual(bench.errors, [])
  })

  it('saves a state between a cron and the next message too, and goes on from there', async () => {
    const crons = { tags: [{ name: 'Cron-Interval', value: '10-seconds' }], stepMs: 25_000 }
    await bench.arrange('recorder', to => messages(to, 4), crons)
    await bench.unit.result(bench.process, at(4))
    const expected = await bench.unit.result(bench.process, at(4))
    bench.results = new MemoryResultStore()
    const rows = bench.su.rows
    bench.su.rows = rows.slice(0, 4)
    bench.unit = bench.aUnit({ notWorthMs: 0 })
    const crons3 = { descending: false, limit: 100, crons: true }
    bench.su.now = { nonce: at(3), timestamp: 1_700_000_000_000 + 91_000, blockHeight: 1_500_000 }
    assert.equal((await bench.unit.results(bench.process, crons3)).rows.length, 9)
    await bench.unit.stop()
    const checkpoint = await bench.checkpoints.get(bench.process, at(3))
    assert.equal(checkpoint?.image.applied, 4 + 9)
    bench.pool.handled.length = 0
    bench.su.rows = rows
    assert.deepEqual(await bench.aUnit().result(bench.process, at(4)), expected)
    assert.deepEqual(handled(), [4]) // none of the crons again
  })

  it('refuses one that tells of a cron message which was never attested', async () => {
    await bench.arrange('recorder', to => messages(to, 3))
    const checkpoint = await checkpointAt(2)
    for (const notes of [{ cron: '1700000000500 1500000 0-10-seconds' }, { cron: 'never' }, 7]) {
      await bench.checkpoints.put({ ...checkpoint, notes }, keepAll)
      bench.pool.handled.length = 0
      assert.equal(await count(3, bench.aUnit()), 4)
      assert.equal(handled()[0], 0)
      bench.results = new MemoryResultStore()
      await bench.aUnit().result(bench.process, at(2))
    }
  })

  it('saves nothing that is replayed as quickly', async () => {
    await bench.arrange('recorder', to => messages(to, 3))
    await bench.unit.result(bench.process, at(3))
    await bench.unit.stop()
    assert.deepEqual(await bench.checkpoints.nonces(bench.process), [])
  })

  const strangers: Readonly<Record<string, (checkpoint: Checkpoint) => Checkpoint>> = {
    'of another state root': checkpoint => ({ ...checkpoint, attestedRoot: anId('elsewhere') }),
    'of another Module': checkpoint => ({ ...checkpoint, module: anId('another') }),
    'of other gas rules': checkpoint => ({ ...checkpoint, meter: 'gas-0' }),
    'whose image is not what it says': checkpoint => {
      checkpoint.image.pages[0]?.bytes.fill(0x37, 2, 3) // "7984" where "1984" stood
      return checkpoint
    },
  }
  for (const [what, change] of Object.entries(strangers)) {
    it(`takes the next older instead of one ${what}`, async () => {
      await bench.arrange('recorder', to => messages(to, 9))
      const older = await checkpointAt(3)
      const newer = await checkpointAt(6)
      await bench.checkpoints.put(older, keepAll)
      await bench.checkpoints.put(change(newer), keepAll)
      assert.equal(await count(7, bench.aUnit()), 8)
      assert.deepEqual(handled(), [4, 5, 6, 7])
      assert.deepEqual(bench.errors, ['checkpoint-refused'])
      assert.deepEqual(await bench.checkpoints.nonces(bench.process), [3])
    })
  }

  it('trusts none of a nonce it has signed nothing about', async () => {
    await bench.arrange('recorder', to => messages(to, 5))
    const checkpoint = await checkpointAt(3)
    bench.results = new MemoryResultStore()
    await bench.checkpoints.put(checkpoint, keepAll)
    assert.equal(await count(4, bench.aUnit()), 5)
    assert.deepEqual(handled(), [0, 1, 2, 3, 4])
  })

  it('replays from nonce 0 when the disk gives nothing back or takes nothing', async () => {
    await bench.arrange('recorder', to => messages(to, 5))
    await checkpointAt(3)
    const broken = async (): Promise<never> => {
      throw new AoError('STORE_CORRUPT', 'the disk is broken')
    }
    const { nonces } = bench.checkpoints
    bench.checkpoints.nonces = broken
    bench.checkpoints.put = broken
    const unit = bench.aUnit({ notWorthMs: 0 })
    assert.equal(await count(4, unit), 5)
    bench.checkpoints.nonces = nonces
    await unit.stop()
    assert.deepEqual(await bench.checkpoints.nonces(bench.process), [3])
  })

  it('never saves a state that is ahead of what is recorded', async () => {
    await bench.arrange('recorder', to => messages(to, 3))
    bench.unit = bench.aUnit({ notWorthMs: 0 })
    await bench.unit.result(bench.process, at(1))
    bench.results.putAll = async () => {
      throw new AoError('LOG_WRITE_FAILED', 'disk full')
    }
    await assert.rejects(bench.unit.result(bench.process, at(2)), { code: 'LOG_WRITE_FAILED' })
    await bench.unit.stop()
    assert.deepEqual(await bench.checkpoints.nonces(bench.process), [])
  })

  it('keeps the newest and ever sparser ones, a number that grows with the logarithm', () => {
    let kept: readonly number[] = []
    for (let nonce = 100; nonce <= 200_000; nonce += 100) {
      const before = kept
      kept = keepSpaced([nonce, ...kept] as Nonce[])
      assert.deepEqual(kept.slice(0, 3), [nonce, ...before].slice(0, 3))
      assert.ok(kept.length <= 10, `${kept.length} at ${nonce}`)
    }
    const last = kept.at(-1) ?? 0
    assert.ok(last <= 100_000, `the oldest is ${last}`)
  })
})

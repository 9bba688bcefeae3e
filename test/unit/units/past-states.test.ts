import assert from 'node:assert/strict'
import { gunzipSync } from 'node:zlib'
import type { MemoryDump, StateOptions } from '../../../src/ports/units.ts'
import { tagsOf } from '../../../src/protocol/tags.ts'
import { messages } from '../../support/builders.ts'
import { at, computeBench } from '../../support/compute-bench.ts'

describe('units/compute: states of older times', () => {
  const bench = computeBench()
  const message = { owner: 'me', tags: [], data: 'try' }
  const seen = async (options: StateOptions): Promise<readonly string[]> =>
    ((await bench.unit.dryRun(bench.process, message, options)).output as { seen: string[] }).seen
  const bytesOf = async ({ gzip }: MemoryDump): Promise<string> => {
    const pieces: Uint8Array[] = []
    for await (const piece of gzip) pieces.push(piece)
    return gunzipSync(Buffer.concat(pieces)).toString('utf8')
  }
  const rowAt = (nonce: number) => {
    const found = bench.su.rows[nonce]?.assignment
    assert.ok(found)
    return found
  }
  const nonces = (): unknown[] => bench.pool.handled.map(({ Nonce, Timestamp }) => Nonce ?? Timestamp)

  it('are equal to the live state of that message, whatever came later, and leave the live one alone', async () => {
    await bench.arrange('recorder', to => messages(to, 8))
    bench.unit = bench.aUnit({ checkpointAfterMs: 0, notWorthMs: 0 })
    const { rows } = bench.su
    const lived: string[] = []
    for (let nonce = 0; nonce <= 8; nonce++) {
      bench.su.rows = rows.slice(0, nonce + 1)
      lived.push(await bytesOf(await bench.unit.memory(bench.process)))
    }
    assert.equal(new Set(lived).size, 9)
    const before = await bench.results.newest(bench.process)
    for (let nonce = 0; nonce <= 8; nonce++) {
      const { message: to, timestamp, blockHeight } = rowAt(nonce)
      const dump = await bench.unit.memory(bench.process, { to })
      assert.deepEqual([dump.nonce, dump.timestamp, dump.blockHeight], [nonce, timestamp, blockHeight])
      assert.equal(await bytesOf(dump), lived[nonce])
      assert.equal(await bytesOf(await bench.unit.memory(bench.process, { to: { timestamp } })), lived[nonce])
      const data = ['1984', ...Array.from({ length: nonce }, (_, i) => `message ${i + 1}`), 'try']
      assert.deepEqual(await seen({ to }), data)
    }
    assert.deepEqual(await bench.results.newest(bench.process), before)
    assert.deepEqual(await seen({}), await seen({ to: { timestamp: 9_999_999_999_999 } }))
  })

  it('are made from the last checkpoint before, and what is evaluated again is not recorded anew', async () => {
    await bench.arrange('recorder', to => messages(to, 9))
    for (const nonce of [3, 6, 9]) {
      const unit = bench.aUnit({ notWorthMs: 0 })
      await unit.result(bench.process, at(nonce))
      await unit.stop()
    }
    bench.unit = bench.aUnit()
    await bench.unit.result(bench.process, at(9))
    bench.pool.handled.length = 0
    assert.equal((await seen({ to: rowAt(5).message })).length, 7)
    assert.deepEqual(nonces(), [4, 5])
    bench.pool.handled.length = 0
    assert.equal((await seen({ to: rowAt(6).message })).length, 8)
    assert.deepEqual(nonces(), [])
    assert.equal((await seen({ to: rowAt(2).message })).length, 4)
    assert.deepEqual(nonces(), [0, 1, 2])
    assert.equal(bench.pool.setups.at(-1)?.isAside, true)
    assert.equal(bench.pool.live, 0) // nothing stays but what the unit keeps awake: here it was never needed
  })

  it('have the cron messages up to their time, and none after the message that is named', async () => {
    const tags = tagsOf(['Cron-Interval', '10-seconds'], ['Cron-Tag-Action', 'Tick'])
    await bench.arrange('recorder', to => messages(to, 2), { tags, stepMs: 25_000 })
    const start = rowAt(0).timestamp
    bench.su.now = { nonce: at(2), timestamp: start + 71_000, blockHeight: rowAt(2).blockHeight }
    const counts = async (seconds: number): Promise<number> => {
      const length = (await seen({ to: { timestamp: start + seconds * 1000 } })).length
      return length - 1
    }
    const expected = [
      [0, 1],
      [9, 1],
      [10, 2],
      [24, 3],
      [25, 4],
      [29, 4],
      [30, 5],
      [49, 6],
      [50, 8],
      [59, 8],
      [60, 9],
      [75, 10],
    ] as const
    for (const [seconds, count] of expected) assert.equal(await counts(seconds), count, `${seconds} s`)
    assert.equal((await seen({ to: rowAt(1).message })).length, 5)
    const dump = await bench.unit.memory(bench.process, { to: { timestamp: start + 45_000 } })
    assert.deepEqual([dump.nonce, dump.timestamp], [1, start + 40_000])
    const live = await bytesOf(await bench.unit.memory(bench.process))
    assert.equal(await bytesOf(await bench.unit.memory(bench.process, { to: { timestamp: start + 80_000 } })), live)
  })

  it('are told from what never was, and bounded in number and time', async () => {
    await bench.arrange('recorder', to => messages(to, 4))
    const before = { timestamp: rowAt(0).timestamp - 1 }
    await assert.rejects(bench.unit.dryRun(bench.process, message, { to: before }), { code: 'UNKNOWN_MESSAGE' })
    bench.unit = bench.aUnit({ maxPast: 1, pastMs: 100 })
    bench.su.stalled = true
    const to = rowAt(2).message
    const slow = assert.rejects(bench.unit.dryRun(bench.process, message, { to }), { code: 'DEADLINE' })
    await assert.rejects(bench.unit.memory(bench.process, { to }), { code: 'OVERLOADED' })
    await slow
    bench.su.stalled = false
    assert.equal((await seen({ to })).length, 4)
    assert.equal(bench.pool.live, 0)
    const left = new AbortController()
    left.abort()
    await assert.rejects(bench.unit.dryRun(bench.process, message, { to, signal: left.signal }), { code: 'ABORTED' })
  })

  it('are not shown where evaluating again gives another state than was signed', async () => {
    await bench.arrange('recorder', to => messages(to, 4))
    await bench.unit.result(bench.process, at(4))
    bench.pool.salt = 'another machine'
    const again = bench.unit.dryRun(bench.process, message, { to: rowAt(2).message })
    await assert.rejects(again, { code: 'STORE_CORRUPT' })
    assert.deepEqual(bench.errors, ['replay-diverged'])
  })
})

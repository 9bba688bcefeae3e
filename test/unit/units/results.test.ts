import assert from 'node:assert/strict'
import type { ResultsQuery } from '../../../src/ports/units.ts'
import { aMessage, anId, messages } from '../../support/builders.ts'
import { at, computeBench } from '../../support/compute-bench.ts'

describe('units/compute: pages of results', () => {
  const bench = computeBench()
  const page = async (query: Partial<ResultsQuery> = {}, unit = bench.unit) => {
    const { rows, hasNext } = await unit.results(bench.process, { descending: false, limit: 100, ...query })
    return { nonces: rows.map(({ result }) => result.nonce as number), hasNext, rows }
  }

  it('hold everything ordered so far, also what nobody has asked for', async () => {
    await bench.arrange('recorder', to => messages(to, 5))
    assert.deepEqual((await page()).nonces, [0, 1, 2, 3, 4, 5])
    assert.deepEqual((await page({ descending: true, limit: 2 })).nonces, [5, 4])
  })

  it('leave out messages that failed, and still say rightly whether there are more', async () => {
    await bench.arrange('failing', async to => [
      await aMessage(to, { data: 'one' }),
      await aMessage(to, { data: 'bad' }),
      await aMessage(to, { data: 'two' }),
    ])
    const first = await page({ limit: 2 })
    assert.deepEqual([first.nonces, first.hasNext], [[0, 1], true])
    const last = await page({ after: { nonce: at(1) }, limit: 1 })
    assert.deepEqual([last.nonces, last.hasNext], [[3], false])
  })

  it('lie between bounds by nonce as by time: after exclusive, to inclusive', async () => {
    await bench.arrange('recorder', to => messages(to, 9))
    const timeOf = (nonce: number) => ({ timestamp: bench.su.rows[nonce]?.assignment.timestamp ?? 0 })
    assert.deepEqual((await page({ after: { nonce: at(2) }, to: { nonce: at(5) } })).nonces, [3, 4, 5])
    assert.deepEqual((await page({ after: timeOf(2), to: timeOf(5) })).nonces, [3, 4, 5])
    assert.deepEqual((await page({ after: timeOf(2), to: timeOf(5), descending: true, limit: 2 })).nonces, [5, 4])
    assert.deepEqual((await page({ after: { timestamp: 0 } })).nonces.length, 10)
    assert.deepEqual((await page({ to: { timestamp: 0 } })).nonces, [])
    assert.deepEqual((await page({ after: timeOf(9) })).nonces, [])
  })

  it('do not evaluate beyond their end, nor again what is stored', async () => {
    await bench.arrange('recorder', to => messages(to, 9))
    await page({ to: { nonce: at(3) } })
    assert.equal(bench.pool.handled.length, 4)
    bench.su.rows = [] // a full page needs no schedule
    const { nonces, hasNext } = await page({ limit: 3 }, bench.aUnit())
    assert.deepEqual([nonces, hasNext], [[0, 1, 2], true])
    assert.equal(bench.pool.handled.length, 4)
  })

  it('answer with the beginning when the rest takes too long', async () => {
    await bench.arrange('recorder', to => messages(to, 5))
    await page({ to: { nonce: at(2) } })
    bench.su.stalled = true
    const { nonces } = await page({}, bench.aUnit({ catchUpMs: 20 }))
    assert.deepEqual(nonces, [0, 1, 2])
  })

  it('end before they grow too large in bytes, with at least one row', async () => {
    await bench.arrange('recorder', to => messages(to, 5))
    const unit = bench.aUnit({ maxPageBytes: 1 })
    const { nonces, hasNext } = await page({ after: { nonce: at(1) } }, unit)
    assert.deepEqual([nonces, hasNext], [[2], true])
  })

  it('are refused for a Process that nobody knows', async () => {
    await bench.arrange('recorder', to => messages(to, 1))
    bench.su.rows = []
    await assert.rejects(bench.unit.results(anId('nobody'), { descending: false, limit: 1 }), {
      code: 'UNKNOWN_MESSAGE',
    })
  })
})

import assert from 'node:assert/strict'
import type { ResultBound, ResultsPage } from '../../../src/ports/units.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { Nonce } from '../../../src/protocol/ids.ts'
import type { Tag } from '../../../src/protocol/tags.ts'
import { messages } from '../../support/builders.ts'
import { computeBench } from '../../support/compute-bench.ts'

const startAt = 1_700_000_000_000
const tags: Tag[] = [
  { name: 'Cron-Interval', value: '10-seconds' },
  { name: 'Cron-Tag-Action', value: 'Tick' },
]
const at = (nonce: number): Nonce => nonce as Nonce

describe('units/compute cron', () => {
  const bench = computeBench()
  /** The Process, and messages 25 seconds apart. */
  const arrange = (count: number): Promise<void> =>
    bench.arrange('recorder', (item: DataItem) => messages(item, count), { tags, stepMs: 25_000 })
  const promise = (nonce: number, seconds: number): void => {
    bench.su.now = { nonce: at(nonce), timestamp: startAt + seconds * 1000, blockHeight: 1_500_000 }
  }
  const page = (options: { after?: ResultBound; descending?: boolean; crons?: boolean; limit?: number } = {}) =>
    bench.unit.results(bench.process, { descending: false, limit: 100, ...options })
  const places = ({ rows }: ResultsPage): (string | number)[] =>
    rows.map(({ result }) =>
      result.cron === undefined ? result.nonce : `${(result.cron.timestamp - startAt) / 1000}s`,
    )

  it('evaluates between two messages what falls between them, as the owner, without an id', async () => {
    await arrange(2)
    await bench.unit.result(bench.process, at(2))
    const seen = bench.pool.handled.map(message => [message['Nonce'] ?? 'cron', message['Timestamp']])
    assert.deepEqual(
      seen.map(([nonce, timestamp]) => [nonce, (Number(timestamp) - startAt) / 1000]),
      [
        [0, 0],
        ['cron', 10],
        ['cron', 20],
        [1, 25],
        ['cron', 30],
        ['cron', 40],
        [2, 50],
      ],
    )
    const cron = bench.pool.handled.find(message => message['Cron'] === true)
    assert.deepEqual(cron, {
      Owner: bench.item.owner,
      Target: bench.item.id,
      From: bench.item.owner,
      Tags: [{ name: 'Action', value: 'Tick' }],
      Timestamp: startAt + 10_000,
      'Block-Height': 1_500_000,
      Cron: true,
    })
  })

  it('shows them in the results at their places, both ways, and one by one with an attestation', async () => {
    await arrange(2)
    const forth = await page()
    assert.deepEqual(places(forth), [0, '10s', '20s', 1, '30s', '40s', 2])
    assert.deepEqual(places(await page({ descending: true })), [...places(forth)].reverse())
    const [, , second] = forth.rows
    assert.ok(second?.result.cron)
    const cron = { nonce: second.result.nonce, cron: second.result.cron }
    assert.deepEqual(places(await page({ after: cron })), [1, '30s', '40s', 2])
    assert.deepEqual(places(await page({ after: { timestamp: startAt + 20_000 } })), [1, '30s', '40s', 2])
    promise(2, 51)
    assert.deepEqual(places(await page({ crons: true, limit: 3 })), ['10s', '20s', '30s'])
    assert.deepEqual((await bench.unit.result(bench.process, cron)).attestation, second.attestation)
    const never = { nonce: at(1), cron: { ...second.result.cron, timestamp: startAt + 31_000 } }
    await assert.rejects(bench.unit.result(bench.process, never), { code: 'UNKNOWN_MESSAGE' })
  })

  it('evaluates up to the time that the SU promises, and goes on from there with the next message', async () => {
    await arrange(2)
    const [first, second, third] = bench.su.rows
    assert.ok(first && second && third)
    bench.su.rows = [first, second]
    promise(1, 41)
    assert.deepEqual(places(await page({ crons: true })), ['10s', '20s', '30s', '40s'])
    bench.su.rows = [first, second, third]
    const { result } = await bench.unit.result(bench.process, at(2))
    // Another CU that never looked in between comes to the same.
    const once = bench.pool.handled.length
    const [other] = await Promise.all([freshResult()])
    assert.equal(other.stateRoot, result.stateRoot)
    assert.deepEqual(other.output, result.output)
    assert.equal(bench.pool.handled.length, 2 * once)
  })

  async function freshResult() {
    const { MemoryResultStore } = await import('../../../src/storage/memory.ts')
    bench.results = new MemoryResultStore()
    return (await bench.aUnit().result(bench.process, at(2))).result
  }

  it('says the same after a restart, from the beginning on', async () => {
    await arrange(2)
    promise(2, 71)
    const before = await page({ crons: true })
    await bench.unit.stop()
    bench.unit = bench.aUnit()
    promise(2, 81)
    const after = await page({ crons: true })
    assert.deepEqual(places(after), [...places(before), '80s'])
    assert.deepEqual(
      after.rows.slice(0, before.rows.length).map(({ attestation }) => attestation),
      before.rows.map(({ attestation }) => attestation),
    )
  })

  it('stops at a message that comes before the time the SU had promised', async () => {
    await arrange(2)
    const whole = bench.su.rows
    bench.su.rows = whole.slice(0, 2)
    promise(1, 61) // but the second message is stamped 50 s
    await page({ crons: true })
    bench.su.rows = whole
    await assert.rejects(bench.unit.result(bench.process, at(2)), { code: 'EQUIVOCATION' })
  })

  it('leaves a Process without crons alone', async () => {
    await bench.arrange('recorder', item => messages(item, 1), { stepMs: 25_000 })
    assert.deepEqual(places(await page({ crons: true })), [])
    assert.deepEqual(places(await page()), [0, 1])
  })
})

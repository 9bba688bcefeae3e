import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { checkpointTags, parseCheckpoint } from '../../../src/protocol/checkpoint-item.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { Signer } from '../../../src/protocol/keys.ts'
import { testnetParams } from '../../../src/protocol/params.ts'
import { tagsOf, tagValue } from '../../../src/protocol/tags.ts'
import { MemoryCheckpointStore, MemoryResultStore } from '../../../src/storage/memory.ts'
import { ComputeUnit } from '../../../src/units/compute/compute.ts'
import { type ComputeUnitOptions, defaultComputeUnitOptions } from '../../../src/units/compute/options.ts'
import { aMessage, anId, messages, schedule, testSigner } from '../../support/builders.ts'
import { at, computeBench, specOf } from '../../support/compute-bench.ts'
import { eventually, TestClock } from '../../support/eventually.ts'

describe('units/compute: checkpoints on Arweave', () => {
  const bench = computeBench()
  const clock = new TestClock()
  /** A CU with an empty disk. */
  const aFreshUnit = (signer: Signer, options: Partial<ComputeUnitOptions>): ComputeUnit => {
    bench.results = new MemoryResultStore()
    bench.checkpoints = new MemoryCheckpointStore()
    const unit = new ComputeUnit(
      {
        ...{ signer, results: bench.results, checkpoints: bench.checkpoints, pool: bench.pool, arweave: bench.arweave },
        ...{
          params: testnetParams,
          telemetry: silentTelemetry,
          clock,
          gossip: bench.hub.join(`cu ${bench.units.length}`),
        },
        routes: {
          scheduler: async () => bench.su,
          process: async () => ({ item: bench.item, spec: specOf(bench.item) }),
        },
      },
      { ...defaultComputeUnitOptions, notWorthMs: 0, ...options },
    )
    bench.units.push(unit)
    return unit
  }
  const published = async (signer: Signer): Promise<readonly DataItem[]> => {
    const found = await bench.arweave.signedBy(signer.address, checkpointTags(bench.process), { limit: 100 })
    return Promise.all(found.map(async ({ id }) => (await bench.arweave.item(id)) as DataItem))
  }
  /** One that has the Module and nothing else. */
  const anotherArweave = async (): Promise<void> => {
    const module = (await bench.arweave.item(specOf(bench.item).module)) as DataItem
    bench.arweave = new MemoryArweave()
    await bench.arweave.upload(module)
  }
  const own = testSigner('cu')
  /** Evaluates up to there on a fresh CU that publishes, and stops it. */
  const publishAt = async (nonce: number, signer = own): Promise<void> => {
    const unit = aFreshUnit(signer, { publishEveryMs: 1000 })
    await unit.result(bench.process, at(nonce))
    await unit.stop()
    bench.pool.handled.length = 0
  }
  const count = async (unit: ComputeUnit, nonce: number): Promise<number> =>
    ((await unit.result(bench.process, at(nonce))).result.output as { count: number }).count
  const handled = (): unknown[] => bench.pool.handled.map(message => message['Nonce'])

  it('carries the tags of the reference CU and the state root, signed with the key of the node', async () => {
    await bench.arrange('recorder', to => messages(to, 5))
    await publishAt(3)
    const [item] = await published(own)
    assert.ok(item)
    const { nonce, module, stateRoot, assignment, sha256 } = parseCheckpoint(item)
    assert.deepEqual([nonce, module], [3, specOf(bench.item).module])
    assert.equal(stateRoot, (await bench.results.get(bench.process, at(3)))?.result.stateRoot)
    assert.equal(assignment, bench.su.rows[3]?.assignment.id)
    assert.match(sha256, /^[0-9a-f]{64}$/)
    for (const name of [
      'Variant',
      'Epoch',
      'Hash-Chain',
      'Timestamp',
      'Block-Height',
      'Ordinate',
      'Content-Encoding',
    ]) {
      assert.ok(
        item.tags.some(tag => tag.name === name),
        name,
      )
    }
  })

  it('takes a CU that lost its disk on from there, and its signatures link to those before', async () => {
    await bench.arrange('recorder', to => messages(to, 6))
    const before = aFreshUnit(own, {})
    await before.result(bench.process, at(6))
    const expected = await before.result(bench.process, at(5))
    await publishAt(3)
    const unit = aFreshUnit(own, { publishEveryMs: 1_000_000 })
    assert.deepEqual(await unit.result(bench.process, at(5)), expected)
    assert.deepEqual(handled(), [4, 5])
  })

  it('is read from owners that are named, and from nobody else', async () => {
    await bench.arrange('recorder', to => messages(to, 5))
    const friend = testSigner('friend')
    await publishAt(3, friend)
    assert.equal(await count(aFreshUnit(own, { publishEveryMs: 1_000_000 }), 4), 5)
    assert.deepEqual(handled(), [0, 1, 2, 3, 4])
    bench.pool.handled.length = 0
    assert.equal(await count(aFreshUnit(own, { trustedOwners: [friend.address] }), 4), 5)
    assert.deepEqual(handled(), [4])
    bench.pool.handled.length = 0
    assert.equal(await count(aFreshUnit(friend, {}), 4), 5) // reads nothing back unless it is told to
    assert.deepEqual(handled(), [0, 1, 2, 3, 4])
  })

  it('is not used if its memory is not what was signed, or the scheduler shows another history', async () => {
    await bench.arrange('recorder', to => messages(to, 5))
    await publishAt(3)
    const [item] = await published(own)
    assert.ok(item)
    const lies = [
      { State: '{}' },
      { 'State-Root': anId('elsewhere') },
      { 'SHA-256': '0'.repeat(64) },
      { Module: anId('another') },
      { 'Hash-Chain': anId('another chain') },
    ]
    for (const lie of lies) {
      await anotherArweave()
      const tags = item.tags.map(({ name, value }) => ({ name, value: (lie as Record<string, string>)[name] ?? value }))
      await bench.arweave.upload(await own.sign({ tags, data: item.data }))
      bench.pool.handled.length = 0
      assert.equal(await count(aFreshUnit(own, { trustedOwners: [anId('nobody') as never] }), 4), 5)
      assert.deepEqual(handled(), [0, 1, 2, 3, 4], JSON.stringify(lie))
    }
    await anotherArweave()
    await bench.arweave.upload(item)
    bench.su.rows = await schedule(bench.item, await messages(bench.item, 5), { startAt: 1_700_000_000_500 })
    bench.pool.handled.length = 0
    assert.equal(await count(aFreshUnit(own, { publishEveryMs: 1_000_000 }), 4), 5)
    assert.deepEqual(handled(), [0, 1, 2, 3, 4])
  })

  it('leaves no gap unseen: who began there sends callers elsewhere for what was before', async () => {
    await bench.arrange('recorder', to => messages(to, 6))
    await publishAt(3)
    const unit = aFreshUnit(own, { publishEveryMs: 1_000_000 })
    await unit.result(bench.process, at(5))
    await assert.rejects(unit.result(bench.process, at(2)), { code: 'NOT_READY' })
    const page = { descending: false, limit: 10 }
    await assert.rejects(unit.results(bench.process, page), { code: 'NOT_READY' })
    await assert.rejects(unit.results(bench.process, { ...page, descending: true }), { code: 'NOT_READY' })
    const after = await unit.results(bench.process, { ...page, after: { nonce: at(4) } })
    assert.deepEqual(
      after.rows.map(({ result }) => result.nonce),
      [5, 6],
    )
  })

  it('publishes no Process more often than it is told', async () => {
    await bench.arrange('recorder', to => messages(to, 6))
    const unit = aFreshUnit(own, { publishEveryMs: 1000, checkpointAfterMs: 0 })
    const saved = (nonce: number) => async () => (await bench.checkpoints.nonces(bench.process)).includes(at(nonce))
    const nonces = async () => (await published(own)).map(item => parseCheckpoint(item).nonce)
    await unit.result(bench.process, at(0))
    await eventually('the first on Arweave', async () => (await nonces()).length === 1)
    for (const nonce of [1, 2, 3]) {
      await unit.result(bench.process, at(nonce))
      await eventually('a checkpoint', saved(nonce))
    }
    assert.deepEqual(await nonces(), [0])
    clock.advance(1000)
    await unit.result(bench.process, at(4))
    await eventually('the second on Arweave', async () => (await nonces()).length === 2)
    assert.ok((await nonces()).includes(at(4)))
  })

  it('is published between a cron and the next message too, as the reference CU names that place', async () => {
    const tags = tagsOf(['Cron-Interval', '10-seconds'], ['Cron-Tag-Action', 'Tick'])
    await bench.arrange('recorder', to => messages(to, 3), { tags, stepMs: 25_000 })
    const rows = bench.su.rows
    const through = aFreshUnit(own, {})
    const expected = await through.result(bench.process, at(3))

    bench.su.rows = rows.slice(0, 2)
    const last = rows[1]?.assignment
    assert.ok(last)
    bench.su.now = { nonce: at(1), timestamp: last.timestamp + 6_000, blockHeight: last.blockHeight }
    const publisher = aFreshUnit(own, { publishEveryMs: 1000 })
    await publisher.results(bench.process, { descending: false, limit: 100, crons: true })
    await publisher.stop()
    const [item] = await published(own)
    assert.ok(item)
    const { nonce, cron } = parseCheckpoint(item)
    assert.deepEqual([nonce, cron?.timestamp, cron?.id], [1, last.timestamp + 5_000, '0-10-seconds'])
    const shown = ['Timestamp', 'Cron-Interval', 'Nonce', 'Assignment'].map(name => tagValue(item.tags, name))
    assert.deepEqual(shown, [String(last.timestamp + 5_000), '0-10-seconds', '1', last.id])

    bench.su.rows = rows
    bench.pool.handled.length = 0
    const unit = aFreshUnit(own, { publishEveryMs: 1_000_000 })
    assert.deepEqual(await unit.result(bench.process, at(3)), expected)
    assert.deepEqual(
      bench.pool.handled.map(message => message['Nonce'] ?? Number(message['Timestamp']) - last.timestamp),
      [15_000, 2, 25_000, 35_000, 45_000, 3],
    )

    await anotherArweave()
    const lie = item.tags.map(tag => (tag.name === 'Timestamp' ? { ...tag, value: String(last.timestamp) } : tag))
    await bench.arweave.upload(await own.sign({ tags: lie, data: item.data }))
    bench.pool.handled.length = 0
    assert.deepEqual(await aFreshUnit(own, { publishEveryMs: 1_000_000 }).result(bench.process, at(3)), expected)
    assert.equal(bench.pool.handled[0]?.['Nonce'], 0)
  })

  it('knows of repeats of what stood before it, and learns them once', async () => {
    const mu = testSigner('mu')
    await bench.arrange('recorder', async () => [], { tags: tagsOf(['Authority', mu.address]) })
    const pushed = (data: string) => {
      const tags = tagsOf(['From-Process', anId('sender')], ['From-Nonce', '3'], ['From-Index', '0'])
      return aMessage(bench.process, { data, signer: mu, tags })
    }
    const [part, again] = [await pushed('a part'), await pushed('the part in another message')]
    const [one, two, three] = await messages(bench.item, 3)
    assert.ok(one && two && three)
    bench.su.rows = await schedule(bench.item, [one, part, two, one, three, again, two])
    const through = aFreshUnit(own, {})
    const expected = await Promise.all([4, 5, 6, 7].map(nonce => through.result(bench.process, at(nonce))))
    assert.deepEqual(
      expected.map(({ result }) => result.error),
      ['repeat of nonce 1', undefined, 'repeat of nonce 2', 'repeat of nonce 3'],
    )
    await publishAt(3)
    const { results, checkpoints } = bench
    const unit = aFreshUnit(own, { publishEveryMs: 1_000_000 })
    bench.su.reads = []
    assert.deepEqual(await unit.result(bench.process, at(4)), expected[0])
    assert.deepEqual(handled(), [])
    assert.deepEqual(bench.su.reads, [
      { from: 0, to: 3 },
      { from: 4, to: 4 },
    ])
    await unit.stop()

    bench.su.reads = []
    const later = bench.aUnit({ publishEveryMs: 1_000_000 })
    assert.deepEqual(await later.result(bench.process, at(7)), expected[3])
    assert.deepEqual(
      [await later.result(bench.process, at(5)), await later.result(bench.process, at(6))],
      expected.slice(1, 3),
    )
    assert.deepEqual(
      bench.su.reads.map(({ from }) => from),
      [5],
    )
    assert.notEqual(bench.results, results)
    assert.notEqual(bench.checkpoints, checkpoints)
  })

  it('says nothing beyond it while the schedule before it is not shown, or leads elsewhere', async () => {
    await bench.arrange('recorder', to => messages(to, 6))
    await publishAt(3)
    const { rows } = bench.su
    const read = bench.su.read.bind(bench.su)
    bench.su.read = async function* (process, range) {
      for await (const row of read(process, range))
        if (row.assignment.nonce !== 2 && row.assignment.nonce !== 3) yield row
    }
    const unit = aFreshUnit(own, { publishEveryMs: 1_000_000 })
    await assert.rejects(unit.result(bench.process, at(5)), { code: 'UNKNOWN_MESSAGE' })
    assert.deepEqual(handled(), [])
    bench.su.read = read
    assert.equal(await count(unit, 5), 6)
    assert.deepEqual(bench.su.reads.slice(-2), [
      { from: 2, to: 3 },
      { from: 4, to: 5 },
    ])

    const other = aFreshUnit(own, { publishEveryMs: 1_000_000 })
    const elsewhere = await schedule(bench.item, await messages(bench.item, 6), { startAt: 1_700_000_000_500 })
    bench.su.read = async function* (_process, { from, to }) {
      yield* elsewhere.slice(from, (to ?? rows.length) + 1)
    }
    await assert.rejects(other.result(bench.process, at(5)), { code: 'EQUIVOCATION' })
  })
})

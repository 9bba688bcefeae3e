import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { checkpointTags, parseCheckpoint } from '../../../src/protocol/checkpoint-item.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { Signer } from '../../../src/protocol/keys.ts'
import { testnetParams } from '../../../src/protocol/params.ts'
import { MemoryCheckpointStore, MemoryResultStore } from '../../../src/storage/memory.ts'
import { ComputeUnit } from '../../../src/units/compute/compute.ts'
import { type ComputeUnitOptions, defaultComputeUnitOptions } from '../../../src/units/compute/options.ts'
import { anId, messages, schedule, testSigner } from '../../support/builders.ts'
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
})

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger, silentTelemetry } from '../../../src/lib/telemetry.ts'
import { MemoryGossipHub } from '../../../src/network/memory-gossip.ts'
import type { MemoryDump } from '../../../src/ports/units.ts'
import type { ScheduledMessage } from '../../../src/protocol/assignment.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { Id, ModuleId } from '../../../src/protocol/ids.ts'
import { testnetParams } from '../../../src/protocol/params.ts'
import { tagsOf } from '../../../src/protocol/tags.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelCheckpointStore } from '../../../src/storage/level-checkpoint-store.ts'
import { LevelResultStore } from '../../../src/storage/level-result-store.ts'
import { ComputeUnit } from '../../../src/units/compute/compute.ts'
import { type ComputeUnitOptions, defaultComputeUnitOptions } from '../../../src/units/compute/options.ts'
import { WorkerVmPool } from '../../../src/vm/pool.ts'
import { aMessage, aProcess, processIdOf, schedule, testSigner, withTempDir } from '../../support/builders.ts'
import { at, Rows, specOf } from '../../support/compute-bench.ts'
import { eventually } from '../../support/eventually.ts'
import { aosModuleItem } from '../../support/modules/aos.ts'

describe('a CU with aos on a real disk', function () {
  this.timeout(120_000)
  const last = 45
  let module: DataItem
  let item: DataItem
  let rows: readonly ScheduledMessage[]

  before(async () => {
    module = await aosModuleItem()
    item = await aProcess({ module: module.id as Id as ModuleId })
    const evals = Array.from({ length: last }, (_, i) => {
      const lua = i % 9 === 4 ? 'Lost = 1; error("on purpose")' : `Sum = (Sum or 0) + ${i}; return tostring({}) .. Sum`
      return aMessage(item, { data: lua, tags: tagsOf(['Action', 'Eval']), anchor: String(i).padStart(32, '0') })
    })
    rows = await schedule(item, await Promise.all(evals))
  })

  /** One life of a CU in that directory; `stop` ends it in good order, else it is as if the power had gone. */
  async function live<T>(
    dir: string,
    { stop, options = {} }: { readonly stop: boolean; readonly options?: Partial<ComputeUnitOptions> },
    use: (unit: ComputeUnit, su: Rows) => Promise<T>,
  ): Promise<T> {
    const su = new Rows([...rows])
    const arweave = new MemoryArweave()
    await arweave.upload(module)
    const [results, checkpoints] = await Promise.all(
      ['results', 'checkpoints'].map(name => openStore(join(dir, name), { log: silentLogger })),
    )
    assert.ok(results && checkpoints)
    const pool = new WorkerVmPool(silentTelemetry, {
      ...{ workers: 1, maxLive: 8, maxQueued: 100, wallClockMs: 60_000 },
      moduleDirectory: join(dir, 'modules'),
    })
    await pool.start()
    const unit = new ComputeUnit(
      {
        ...{ signer: testSigner('cu'), params: testnetParams, clock: systemClock, telemetry: silentTelemetry },
        ...{ pool, arweave, gossip: new MemoryGossipHub().join('cu') },
        ...{ results: new LevelResultStore(results), checkpoints: new LevelCheckpointStore(checkpoints) },
        routes: { scheduler: async () => su, process: async () => ({ item, spec: specOf(item) }) },
      },
      { ...defaultComputeUnitOptions, ...options },
    )
    try {
      return await use(unit, su)
    } finally {
      if (stop) await unit.stop()
      await pool.stop()
      for (const store of [checkpoints, results]) await store.close()
    }
  }

  it('says the same when it was stopped, killed and put to sleep on the way as when it ran through', () =>
    withTempDir(async dir => {
      const process = processIdOf(item)
      const expected = await live(join(dir, 'through'), { stop: false }, async unit => {
        await unit.result(process, at(last))
        return Promise.all(rows.map((_, nonce) => unit.result(process, at(nonce))))
      })
      const broken = join(dir, 'broken')
      const options = { checkpointAfterMs: 40 }
      await live(broken, { stop: false, options }, async unit => {
        await unit.result(process, at(16))
        await eventually('a checkpoint on disk', () => unit.status().checkpoints > 0)
      })
      await live(broken, { stop: true, options }, async (unit, su) => {
        await unit.result(process, at(25))
        assert.ok((su.reads[0]?.from ?? 0) > 0, 'replayed from nonce 0 after it was killed')
      })
      await live(broken, { stop: true, options }, async (unit, su) => {
        await unit.result(process, at(26))
        // What takes a few milliseconds to replay is not worth a checkpoint.
        assert.ok((su.reads[0]?.from ?? 0) > 20, 'did not go on from where it was stopped')
        await unit.result(process, at(last))
      })
      await live(broken, { stop: true }, async unit => {
        for (const [nonce, one] of expected.entries()) assert.deepEqual(await unit.result(process, at(nonce)), one)
        const { output } = await unit.dryRun(process, {
          owner: item.owner,
          tags: [{ name: 'Action', value: 'Eval' }],
          data: 'return Sum',
        })
        const sum = Array.from({ length: last }, (_, i) => (i % 9 === 4 ? 0 : i)).reduce((a, b) => a + b)
        assert.equal((output as { data: string }).data, String(sum))
      })
    }))

  it('shows the memory of an older message as it was, and dry-runs on it', () =>
    withTempDir(async dir => {
      const process = processIdOf(item)
      await live(dir, { stop: true, options: { checkpointAfterMs: 40 } }, async (unit, su) => {
        const memories: string[] = []
        const places = [3, 12, 20]
        for (const nonce of places) {
          su.rows = rows.slice(0, nonce + 1)
          memories.push(await digest(await unit.memory(process)))
        }
        su.rows = [...rows]
        await unit.result(process, at(last))
        for (const [i, nonce] of places.entries()) {
          const to = su.rows[nonce]?.assignment.message
          assert.equal(await digest(await unit.memory(process, { to })), memories[i], `nonce ${nonce}`)
          const question = { owner: item.owner, tags: [{ name: 'Action', value: 'Eval' }], data: 'return Sum' }
          const { output } = await unit.dryRun(process, question, { to })
          const sum = Array.from({ length: nonce }, (_, n) => (n % 9 === 4 ? 0 : n)).reduce((a, b) => a + b)
          assert.equal((output as { data: string }).data, String(sum), `nonce ${nonce}`)
        }
      })
    }))
})

async function digest({ gzip }: MemoryDump): Promise<string> {
  const pieces: Uint8Array[] = []
  for await (const piece of gzip) pieces.push(piece)
  return createHash('sha256')
    .update(gunzipSync(Buffer.concat(pieces)))
    .digest('hex')
}

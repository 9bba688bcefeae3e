import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { AoError } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { MemoryGossipHub } from '../../../src/network/memory-gossip.ts'
import type { Id, ModuleId, ProcessId } from '../../../src/protocol/ids.ts'
import { testnetParams } from '../../../src/protocol/params.ts'
import { MemoryCheckpointStore, MemoryResultStore } from '../../../src/storage/memory.ts'
import { ComputeUnit } from '../../../src/units/compute/compute.ts'
import { type ComputeUnitOptions, defaultComputeUnitOptions } from '../../../src/units/compute/options.ts'
import { aProcess, messages, processIdOf, schedule, testSigner } from '../../support/builders.ts'
import { at, Rows, specOf } from '../../support/compute-bench.ts'
import { eventually } from '../../support/eventually.ts'
import { aScriptModule, recorder, ScriptPool } from '../../support/script-vm.ts'

describe('units/compute: a fleet of Processes', () => {
  let pool: ScriptPool
  let unit: ComputeUnit
  let processes: readonly ProcessId[]
  let schedules: ReadonlyMap<ProcessId, Rows>

  /** A CU with so many Processes of five messages each. */
  const arrange = async (size: number, options: Partial<ComputeUnitOptions>): Promise<void> => {
    const arweave = new MemoryArweave()
    const module = await aScriptModule('recorder')
    await arweave.upload(module)
    const spawn = (i: number) =>
      aProcess({ module: module.id as Id as ModuleId, tags: [{ name: 'Name', value: String(i) }] })
    const items = await Promise.all(Array.from({ length: size }, (_, i) => spawn(i)))
    processes = items.map(processIdOf)
    schedules = new Map(
      await Promise.all(
        items.map(async item => [processIdOf(item), new Rows(await schedule(item, await messages(item, 5)))] as const),
      ),
    )
    pool = new ScriptPool({ recorder })
    unit = new ComputeUnit(
      {
        ...{ signer: testSigner('cu'), results: new MemoryResultStore(), checkpoints: new MemoryCheckpointStore() },
        ...{
          pool,
          arweave,
          params: testnetParams,
          clock: systemClock,
          telemetry: silentTelemetry,
          gossip: new MemoryGossipHub().join('cu'),
        },
        routes: {
          scheduler: async id => {
            const rows = schedules.get(id)
            if (rows === undefined) throw new AoError('UNKNOWN_PROCESS', 'nobody knows it')
            return rows
          },
          process: async id => {
            const item = items[processes.indexOf(id)]
            if (item === undefined) throw new AoError('UNKNOWN_PROCESS', 'nobody knows it')
            return { item, spec: specOf(item) }
          },
        },
      },
      { ...defaultComputeUnitOptions, notWorthMs: 0, ...options },
    )
    await unit.start()
  }
  const evaluate = async (process: ProcessId | undefined, nonce: number): Promise<void> => {
    assert.ok(process)
    const { result } = await unit.result(process, at(nonce))
    assert.equal((result.output as { count: number }).count, nonce + 1)
  }
  afterEach(() => unit.stop())

  it('keeps as many awake as it may, and wakes the others without a replay', async () => {
    await arrange(20, { maxLive: 4 })
    let most = 0
    for (let nonce = 0; nonce <= 5; nonce++) {
      await Promise.all(
        processes.map(async process => {
          await evaluate(process, nonce)
          most = Math.max(most, pool.live)
        }),
      )
    }
    assert.ok(most <= 4, `${most} were live`)
    assert.equal(pool.handled.length, 20 * 6, 'a message was evaluated twice')
    const { live, asleep, checkpoints } = unit.status()
    assert.equal(live, 4)
    assert.equal(asleep, 16)
    assert.ok(checkpoints >= 16)
  })

  it('puts the one used longest ago to sleep, and forgets it', async () => {
    await arrange(4, { maxLive: 2 })
    const [a, b, c] = processes
    await evaluate(a, 1)
    await evaluate(b, 1)
    await evaluate(a, 2)
    await evaluate(c, 1)
    assert.equal(unit.status().following, 2)
    pool.setups.length = 0
    await evaluate(a, 3)
    assert.equal(pool.setups.length, 0, 'the wrong one was put to sleep')
    await evaluate(b, 2)
    assert.equal(pool.setups[0]?.image?.applied, 2)
  })

  it('counts memory, not only instances, and lets one that is larger than all in alone', async () => {
    await arrange(6, { maxLive: 100, maxLiveBytes: 10_000_000 })
    pool.usageOfEach = { handledMs: 0, residentBytes: 3_000_000 }
    for (const process of processes) await evaluate(process, 0)
    await eventually('three to be left', () => unit.status().live === 3)
    assert.equal(unit.status().liveBytes, 9_000_000)
    pool.usageOfEach = { handledMs: 0, residentBytes: 50_000_000 }
    await evaluate(processes[0], 1)
    await eventually('the large one to be alone', () => unit.status().live === 1)
    await evaluate(processes[1], 1)
    await eventually('the next to be alone', () => unit.status().live === 1)
  })

  it('never puts one to sleep that is at work: who needs room waits', async () => {
    await arrange(3, { maxLive: 1 })
    const [busy, waiting] = processes
    assert.ok(busy && waiting)
    const rows = schedules.get(busy)
    assert.ok(rows)
    rows.stalled = true
    const stuck = unit.result(busy, at(1)).catch(error => error as unknown)
    await eventually('the first to be at work', () => rows.reads.length > 0)
    const leave = new AbortController()
    const second = unit.result(waiting, at(1), { signal: leave.signal })
    await assert.rejects(
      Promise.race([second, eventually('an answer', () => false, 50)]),
      /not within/,
      'it was answered though there was no room',
    )
    assert.equal(pool.setups.length, 1)
    leave.abort()
    await assert.rejects(second, { code: 'ABORTED' })
    await unit.stop()
    assert.ok((await stuck) instanceof AoError)
  })

  it('dry-runs what sleeps, and keeps nothing of it', async () => {
    await arrange(8, { maxLive: 1 })
    for (const process of processes) await evaluate(process, 5)
    const message = { owner: 'me', tags: [], data: 'try' }
    const counts = await Promise.all(
      [...processes, ...processes].map(async process => (await unit.dryRun(process, message)).output),
    )
    assert.deepEqual(new Set(counts.map(output => (output as { count: number }).count)), new Set([7]))
    assert.equal(pool.handled.length, 8 * 6)
  })
})

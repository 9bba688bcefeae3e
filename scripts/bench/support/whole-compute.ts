import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { AoError } from '../../../src/lib/errors.ts'
import { silentLogger, silentTelemetry } from '../../../src/lib/telemetry.ts'
import { MemoryGossipHub } from '../../../src/network/memory-gossip.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { Id, ModuleId, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { testnetParams } from '../../../src/protocol/params.ts'
import { tagsOf } from '../../../src/protocol/tags.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelCheckpointStore } from '../../../src/storage/level-checkpoint-store.ts'
import { LevelResultStore } from '../../../src/storage/level-result-store.ts'
import { ComputeUnit } from '../../../src/units/compute/compute.ts'
import { WorkerVmPool } from '../../../src/vm/pool.ts'
import { aMessage, aProcess, processIdOf, schedule, testSigner, withTempDir } from '../../../test/support/builders.ts'
import { Rows, specOf } from '../../../test/support/compute-bench.ts'
import { aosModuleItem } from '../../../test/support/modules/aos.ts'
import { tokenLua } from './aos-load.ts'

export interface WholeRate {
  readonly perSecond: number
  /** Of this program, all its threads. */
  readonly cpuMs: number
}

/** A CU with real aos, workers, signatures and LevelDB that works off a schedule of `count` messages. */
export const wholeCompute = (count: number): Promise<WholeRate> =>
  withTempDir(async dir => {
    const arweave = new MemoryArweave()
    const module = await aosModuleItem()
    await arweave.upload(module)
    const item = await aProcess({ module: module.id as Id as ModuleId })
    const process_ = processIdOf(item)
    const su = new Rows(await schedule(item, await following(item, count)))
    const pool = new WorkerVmPool(silentTelemetry, { workers: 1, maxLive: 4, maxQueued: 1000, wallClockMs: 60_000 })
    const store = await openStore(dir, { log: silentLogger })
    await pool.start()
    const unit = new ComputeUnit({
      ...{ signer: testSigner('cu'), pool, arweave, params: testnetParams, telemetry: silentTelemetry },
      clock: systemClock,
      results: new LevelResultStore(store),
      checkpoints: new LevelCheckpointStore(store),
      gossip: new MemoryGossipHub().join('cu'),
      routes: {
        scheduler: async () => su,
        process: async (id: ProcessId) => {
          if (id !== process_) throw new AoError('UNKNOWN_PROCESS', 'nobody knows it')
          return { item, spec: specOf(item) }
        },
      },
    })
    try {
      const warm = Math.floor(count / 5)
      await unit.result(process_, warm as Nonce)
      const [start, cpu] = [performance.now(), process.cpuUsage()]
      const { result } = await unit.result(process_, count as Nonce)
      if (result.error !== undefined) throw new Error(`the last message failed: ${result.error}`)
      const { user, system } = process.cpuUsage(cpu)
      const done = count - warm
      return { perSecond: (done * 1000) / (performance.now() - start), cpuMs: (user + system) / 1000 / done }
    } finally {
      await unit.stop()
      await pool.stop()
      await store.close()
    }
  })

async function following(item: DataItem, count: number): Promise<DataItem[]> {
  const owner = testSigner().address
  const of = (i: number): Promise<DataItem> => {
    if (i === 0) return aMessage(item, { data: tokenLua(owner), tags: tagsOf(['Action', 'Eval']) })
    if (i % 2 === 1)
      return aMessage(item, { data: `Count = (Count or 0) + 1; return ${i}`, tags: tagsOf(['Action', 'Eval']) })
    const recipient = testSigner(`account ${i % 20}`).address
    return aMessage(item, {
      data: '',
      tags: tagsOf(['Action', 'Transfer'], ['Recipient', recipient], ['Quantity', String(i)]),
    })
  }
  return Promise.all(Array.from({ length: count }, (_, i) => of(i)))
}

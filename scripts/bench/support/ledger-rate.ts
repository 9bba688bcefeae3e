import { join } from 'node:path'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { AoError } from '../../../src/lib/errors.ts'
import { silentLogger, silentTelemetry } from '../../../src/lib/telemetry.ts'
import { MemoryGossipHub } from '../../../src/network/memory-gossip.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import { testnetParams } from '../../../src/protocol/params.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelAssignmentLog } from '../../../src/storage/level-assignment-log.ts'
import { LevelCheckpointStore } from '../../../src/storage/level-checkpoint-store.ts'
import { LevelResultStore } from '../../../src/storage/level-result-store.ts'
import { LevelScheduleFloor } from '../../../src/storage/level-schedule-floor.ts'
import { LevelSignGuard } from '../../../src/storage/level-sign-guard.ts'
import { ComputeUnit } from '../../../src/units/compute/compute.ts'
import { SchedulerUnit } from '../../../src/units/scheduler/scheduler.ts'
import { WorkerVmPool } from '../../../src/vm/pool.ts'
import { processIdOf, testSigner, withTempDir } from '../../../test/support/builders.ts'
import { specOf } from '../../../test/support/compute-bench.ts'
import { eventually } from '../../../test/support/eventually.ts'

export interface Ledger {
  readonly module: DataItem
  readonly process: DataItem
  /** Before anything is measured. */
  readonly opening: readonly DataItem[]
  readonly transfers: readonly DataItem[]
}

/** Transfers a second through an SU and a CU with real keys, stores and workers, from the submission to the last result. */
export const ledgerRate = ({ module, process: item, opening, transfers }: Ledger): Promise<number> =>
  withTempDir(async dir => {
    const arweave = new MemoryArweave()
    await arweave.upload(module)
    const process = processIdOf(item)
    const stores = await Promise.all(['su', 'cu'].map(name => openStore(join(dir, name), { log: silentLogger })))
    const [ordered, evaluated] = stores
    if (ordered === undefined || evaluated === undefined) throw new Error('no store')
    const hub = new MemoryGossipHub()
    const common = { arweave, telemetry: silentTelemetry, clock: systemClock }
    const su = new SchedulerUnit({
      ...{ ...common, signer: testSigner('su'), gossip: hub.join('su'), log: new LevelAssignmentLog(ordered) },
      ...{ guard: new LevelSignGuard(ordered), floor: new LevelScheduleFloor(ordered) },
    })
    const pool = new WorkerVmPool(silentTelemetry, { workers: 1, maxLive: 4, maxQueued: 1000, wallClockMs: 60_000 })
    const cu = new ComputeUnit({
      ...{ ...common, signer: testSigner('cu'), gossip: hub.join('cu'), pool, params: testnetParams },
      ...{ results: new LevelResultStore(evaluated), checkpoints: new LevelCheckpointStore(evaluated) },
      routes: {
        scheduler: async () => su,
        process: async (id: ProcessId) => {
          if (id !== process) throw new AoError('UNKNOWN_PROCESS', 'nobody knows it')
          return { item, spec: specOf(item) }
        },
      },
    })
    await pool.start()
    await su.start()
    await cu.start()
    try {
      await eventually('the first block', () => su.schedule(item).catch(() => undefined))
      for (const message of opening) await su.schedule(message)
      const warm = await su.assignment(process, 'newest')
      const opened = await cu.result(process, warm.nonce)
      if (opened.result.error !== undefined) throw new Error(`the ledger did not open: ${opened.result.error}`)
      const start = performance.now()
      const placed = await Promise.all(transfers.map(message => su.schedule(message)))
      const newest = placed.reduce((a, b) => (b.nonce > a.nonce ? b : a))
      const { result } = await cu.result(process, newest.nonce)
      const ms = performance.now() - start
      if (result.error !== undefined || result.outbox.messages.length !== 2) throw new Error('the last transfer failed')
      return (transfers.length * 1000) / ms
    } finally {
      await cu.stop()
      await su.stop()
      await pool.stop()
      for (const store of stores) await store.close()
    }
  })

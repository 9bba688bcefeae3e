// A Compute Unit as a process of its own, over a log that its parent wrote: real LevelDB, real worker pool, aos.
// Arguments: the directory, and `with` or `without` checkpoints. Asked over IPC for nonces, or to stop.
import { join } from 'node:path'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger, silentTelemetry } from '../../../src/lib/telemetry.ts'
import { MemoryGossipHub } from '../../../src/network/memory-gossip.ts'
import { openCheckpointDir } from '../../../src/node/checkpoint-dir.ts'
import type { Scheduler } from '../../../src/ports/units.ts'
import type { Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { parseAoItem } from '../../../src/protocol/message.ts'
import { testnetParams } from '../../../src/protocol/params.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelAssignmentLog } from '../../../src/storage/level-assignment-log.ts'
import { LevelCheckpointStore } from '../../../src/storage/level-checkpoint-store.ts'
import { LevelResultStore } from '../../../src/storage/level-result-store.ts'
import { MemoryCheckpointStore } from '../../../src/storage/memory.ts'
import { ComputeUnit } from '../../../src/units/compute/compute.ts'
import { type ComputeUnitOptions, defaultComputeUnitOptions } from '../../../src/units/compute/options.ts'
import { WorkerVmPool } from '../../../src/vm/pool.ts'
import { testSigner } from '../../../test/support/builders.ts'
import { aosModuleItem } from '../../../test/support/modules/aos.ts'

export type ColdRequest =
  | { readonly type: 'result'; readonly process: ProcessId; readonly nonce: Nonce }
  | { readonly type: 'status' }
  | { readonly type: 'stop' }
export interface ColdReply {
  readonly ms: number
  /** Of the whole program, its worker included. */
  readonly cpuMs: number
  readonly status: ReturnType<ComputeUnit['status']>
  readonly rssBytes: number
}

const [dir = '', checkpoints = 'with', options = '{}'] = process.argv.slice(2)
const open = (name: string) => openStore(join(dir, name), { log: silentLogger })
const [logStore, resultStore] = [await open('log'), await open('results')]
const checkpointStore = await openCheckpointDir(join(dir, 'checkpoints'), { log: silentLogger })
const log = new LevelAssignmentLog(logStore)
const arweave = new MemoryArweave()
await arweave.upload(await aosModuleItem())

const scheduler = {
  async assignment(id: ProcessId, at: unknown) {
    const found = typeof at === 'number' ? await log.at(id, at as Nonce) : await log.tail(id)
    if (found === undefined) throw new Error('no such assignment')
    return found
  },
  read: (id: ProcessId, range: { from: Nonce; to?: Nonce | undefined }) => log.read(id, range),
} as unknown as Scheduler
const routes = {
  scheduler: async () => scheduler,
  process: async (id: ProcessId) => {
    const item = await log.process(id)
    const parsed = item === undefined ? undefined : parseAoItem(item)
    if (item === undefined || parsed?.type !== 'Process') throw new Error('no such Process')
    return { item, spec: parsed.spec }
  },
}
const pool = new WorkerVmPool(silentTelemetry, {
  ...{ workers: 1, maxLive: 10_000, maxQueued: 10_000, wallClockMs: 600_000 },
  moduleDirectory: join(dir, 'modules'),
})
const unit = new ComputeUnit(
  {
    ...{
      signer: testSigner('cu'),
      routes,
      pool,
      arweave,
      params: testnetParams,
      clock: systemClock,
      telemetry: silentTelemetry,
    },
    gossip: new MemoryGossipHub().join('cu'),
    results: new LevelResultStore(resultStore),
    checkpoints: checkpoints === 'with' ? new LevelCheckpointStore(checkpointStore) : new MemoryCheckpointStore(),
  },
  { ...defaultComputeUnitOptions, ...(JSON.parse(options) as Partial<ComputeUnitOptions>) },
)
await pool.start()
await unit.start()

async function answer(request: ColdRequest): Promise<void> {
  const start = performance.now()
  const cpu = process.cpuUsage()
  if (request.type === 'result') await unit.result(request.process, request.nonce)
  if (request.type === 'stop') {
    await unit.stop()
    await pool.stop()
    for (const store of [checkpointStore, resultStore, logStore]) await store.close()
  }
  const { user, system } = process.cpuUsage(cpu)
  if (request.type === 'status') globalThis.gc?.()
  const rssBytes = process.memoryUsage.rss()
  const reply: ColdReply = {
    ...{ ms: performance.now() - start, cpuMs: (user + system) / 1000 },
    ...{ status: unit.status(), rssBytes },
  }
  process.send?.(reply, () => request.type === 'stop' && process.exit(0))
}
process.on('message', (request: ColdRequest) => void answer(request))
process.send?.('ready')

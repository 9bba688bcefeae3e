import assert from 'node:assert/strict'
import { MemoryArweave } from '../../src/arweave/memory-arweave.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { AoError } from '../../src/lib/errors.ts'
import { type Logger, silentLogger, silentTelemetry } from '../../src/lib/telemetry.ts'
import { absentScheduler } from '../../src/network/grpc/absent-units.ts'
import { MemoryGossipHub } from '../../src/network/memory-gossip.ts'
import type { CheckpointStore } from '../../src/ports/checkpoint-store.ts'
import type { ResultStore } from '../../src/ports/result-store.ts'
import type { NonceRange, ScheduleClock, Scheduler } from '../../src/ports/units.ts'
import type { ScheduledMessage } from '../../src/protocol/assignment.ts'
import type { DataItem } from '../../src/protocol/data-item.ts'
import type { Id, ModuleId, Nonce, ProcessId } from '../../src/protocol/ids.ts'
import { type ProcessSpec, parseAoItem } from '../../src/protocol/message.ts'
import { testnetParams } from '../../src/protocol/params.ts'
import { MemoryCheckpointStore, MemoryResultStore } from '../../src/storage/memory.ts'
import { ComputeUnit } from '../../src/units/compute/compute.ts'
import { type ComputeUnitOptions, defaultComputeUnitOptions } from '../../src/units/compute/options.ts'
import { aProcess, type ProcessOptions, processIdOf, type ScheduleOptions, schedule, testSigner } from './builders.ts'
import { aScriptModule, recorder, type Script, ScriptPool } from './script-vm.ts'

/** A schedule to read from, as honest as its rows. */
export class Rows implements Scheduler {
  rows: ScheduledMessage[]
  reads: NonceRange[] = []
  stalled = false
  readonly assign = absentScheduler.assign
  /** What the SU promises: nothing yet. */
  now: ScheduleClock | undefined

  async clock(): Promise<ScheduleClock> {
    if (this.now === undefined) throw new AoError('NOT_READY', 'no promise')
    return this.now
  }

  constructor(rows: ScheduledMessage[]) {
    this.rows = rows
  }

  async schedule(): Promise<never> {
    throw new AoError('NOT_READY', 'this schedule is only read')
  }
  async assignment(process: ProcessId, at: Id | Nonce | 'newest') {
    const row =
      at === 'newest'
        ? this.rows.at(-1)
        : this.rows.find(({ assignment }) => assignment.nonce === at || assignment.message === at)
    if (row === undefined) throw new AoError('UNKNOWN_MESSAGE', 'not ordered', { process })
    return row.assignment
  }
  async process(): Promise<DataItem> {
    return this.rows[0]?.message as DataItem
  }
  async *read(_process: ProcessId, range: NonceRange) {
    this.reads.push(range)
    if (this.stalled) await new Promise(() => undefined)
    yield* this.rows.slice(range.from, (range.to ?? this.rows.length) + 1)
  }
}

const chatty: Script = (state, message) => ({
  state: Number(state ?? 0) + 1,
  answer: {
    Messages: [{ Target: 'x', Anchor: '', Tags: [], Data: String(message['Data']) }],
    Output: { from: message['From'] ?? null },
  },
})
const failing: Script = (_state, message) => ({
  state: 'broken',
  answer: message['Data'] === 'bad' ? { Error: 'it broke' } : { Output: 'fine' },
})

/** A CU over memory with one Process of a script and a schedule that a test may bend. */
export interface ComputeBench {
  arweave: MemoryArweave
  hub: MemoryGossipHub
  pool: ScriptPool
  results: ResultStore
  checkpoints: CheckpointStore
  item: DataItem
  process: ProcessId
  su: Rows
  unit: ComputeUnit
  units: ComputeUnit[]
  /** Events that were logged as errors. */
  errors: string[]
  /** Nonces that were read, and those that did not follow the one before. */
  read: number[]
  broken: number[]
  /** Another CU over the same stores: the same one after a restart. */
  aUnit(options?: Partial<ComputeUnitOptions>): ComputeUnit
  /** Publishes the script, spawns a Process of it and orders what follows. */
  arrange(
    script: string,
    following: (item: DataItem) => Promise<DataItem[]>,
    tags?: ProcessOptions & ScheduleOptions,
  ): Promise<void>
}

/** Sets the bench up anew for each test of the suite that calls it. */
export function computeBench(): ComputeBench {
  const bench = {} as ComputeBench
  const log: Logger = { ...silentLogger, error: event => bench.errors.push(event) }
  bench.aUnit = (options = {}) => {
    const { results, checkpoints, pool, arweave, hub, units, item } = bench
    const routes = {
      scheduler: async () => bench.su,
      process: async (id: ProcessId) => {
        if (id === bench.process) return { item, spec: specOf(item) }
        throw new AoError('UNKNOWN_PROCESS', 'nobody knows it')
      },
    }
    const started = new ComputeUnit(
      {
        ...{
          signer: testSigner('cu'),
          routes,
          results,
          checkpoints,
          pool,
          arweave,
          params: testnetParams,
          clock: systemClock,
        },
        ...{ gossip: hub.join(`cu${units.length}`), telemetry: { ...silentTelemetry, log } },
        onRead: ({ nonce }, after) => void (after === undefined ? bench.read : bench.broken).push(nonce),
      },
      { ...defaultComputeUnitOptions, ...options },
    )
    units.push(started)
    return started
  }
  bench.arrange = async (script, following, options = {}) => {
    const module = await aScriptModule(script)
    await bench.arweave.upload(module)
    bench.item = await aProcess({ module: module.id as Id as ModuleId, ...options })
    bench.process = processIdOf(bench.item)
    bench.su = new Rows(
      await schedule(
        bench.item,
        await following(bench.item),
        options.stepMs === undefined ? {} : { stepMs: options.stepMs },
      ),
    )
    bench.unit = bench.aUnit()
  }
  beforeEach(() => {
    bench.arweave = new MemoryArweave()
    bench.hub = new MemoryGossipHub()
    bench.pool = new ScriptPool({ recorder, chatty, failing })
    bench.results = new MemoryResultStore()
    bench.checkpoints = new MemoryCheckpointStore()
    bench.units = []
    bench.errors = []
    bench.read = []
    bench.broken = []
  })
  afterEach(() => Promise.all(bench.units.map(started => started.stop())))
  return bench
}

/** The spec of a Process item. */
export function specOf(item: DataItem): ProcessSpec {
  const ao = parseAoItem(item)
  assert.ok(ao.type === 'Process')
  return ao.spec
}

export const at = (nonce: number): Nonce => nonce as Nonce

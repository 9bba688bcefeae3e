import { LRUCache } from 'lru-cache'
import { type AbortOptions, throwIfAborted } from '../lib/abort.ts'
import { sha256, utf8 } from '../lib/bytes.ts'
import type { Component } from '../lib/component.ts'
import { AoError } from '../lib/errors.ts'
import type { Counter, Histogram, Telemetry } from '../lib/telemetry.ts'
import type { LiveProcess, ProcessSetup, VmPool } from '../ports/vm.ts'
import type { ProcessId } from '../protocol/ids.ts'
import type { ForkSource } from './fork.ts'
import { ForkedProcess } from './forked-process.ts'
import { type ForkLimits, Forks } from './forks.ts'
import { vmFormats } from './formats.ts'
import { Journal } from './journal.ts'
import type { Lane } from './lane.ts'
import { type RemoteOptions, RemoteProcess } from './remote-process.ts'
import { maxModules } from './worker-messages.ts'
import { type LossReason, WorkerSlot } from './worker-slot.ts'

export interface WorkerVmPoolOptions {
  /** Threads. One per core but one leaves room for the rest of the node. */
  readonly workers: number
  /** Live instances per worker; the one used longest ago is dropped for a new one. About 6 MB each for aos. */
  readonly maxLive: number
  /** Calls that wait per worker before more are refused. */
  readonly maxQueued: number
  /** A worker busy for longer with one call is ended; four times as long in the slow lane. Self-protection, not a rule of the network: set it generously. */
  readonly wallClockMs: number
  /** A Process whose message takes longer is moved to a worker that no quick one shares. Default: 250. */
  readonly sliceMs?: number
  /** Threads for those, started when the first of them comes. Default: 1. */
  readonly slowWorkers?: number
  /** Threads for dry-runs, started with the first, and one more for those that take long. Default: half as many as `workers`. */
  readonly asideWorkers?: number
  /** Where metered modules are kept from start to start; it may be deleted at any time. Absent: nowhere. */
  readonly moduleDirectory?: string | undefined
  /** Of the copies that dry-runs are evaluated on. */
  readonly forks?: Partial<ForkLimits>
}

/** Threads that such a pool has at most: those for what takes long and for dry-runs start with the first. */
export const mostThreads = (workers: number): number => workers + 1 + asideFor(workers) + 1

/** Threads for dry-runs. */
const asideFor = (workers: number): number => Math.max(1, Math.floor(workers / 2))

/** Threads of the slow lane run only where others leave room: their calls may last so many times as long. */
const slowPatience = 4

const defaultForkLimits: ForkLimits = {
  maxForks: 32,
  maxForkBytes: 256 << 20,
  maxForksEach: 1,
  maxSlow: 4,
  maxWaiting: 256,
}

/** A worker's time per call, in seconds. */
const evaluationBuckets = [0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1, 5]

/**
 * Evaluates Processes in worker threads, each Process always in the same one, but for those that take long: they share
 * workers of their own (`lane.ts`). This thread compiles and runs nothing.
 *
 * A call that outlasts the wall clock rejects with `DEADLINE` and takes its worker with it: the other Processes there
 * answer `NOT_READY` until they are opened again.
 */
export class WorkerVmPool implements VmPool, Component {
  readonly name = 'vm-pool'
  readonly formats = vmFormats
  readonly #deps: Telemetry
  readonly #slots: readonly WorkerSlot[]
  /** For Processes that take long. Their threads start with the first. */
  readonly #slowSlots: readonly WorkerSlot[]
  /** For dry-runs, and what nobody else waits for. */
  readonly #asideSlots: Readonly<Record<Lane, readonly WorkerSlot[]>>
  readonly #forks: Forks
  readonly #losses: Counter
  readonly #moves: Counter
  readonly #evaluations: Histogram
  /** Held compiled by a worker, or as large: what one compiled the others need not. */
  readonly #codes = new LRUCache<string, NonNullable<unknown>>({ max: maxModules })
  #lastLive = 0
  #started = false

  constructor(deps: Telemetry, options: WorkerVmPoolOptions) {
    const { metrics } = deps
    this.#deps = deps
    this.#losses = metrics.counter('aonet_vm_workers_lost_total', 'Worker threads ended or crashed', ['reason'])
    this.#moves = metrics.counter('aonet_vm_moves_total', 'Processes moved to another lane of workers', ['lane'])
    this.#evaluations = metrics.histogram(
      'aonet_vm_call_seconds',
      'Time a worker takes for one call',
      evaluationBuckets,
    )
    const events = {
      lost: (reason: LossReason, cause: unknown) => this.#onLost(reason, cause),
      worked: (milliseconds: number) => this.#evaluations.observe(milliseconds / 1000),
    }
    const { sliceMs = 250, slowWorkers = 1 } = options
    const slots = (count: number, lane: Lane): WorkerSlot[] =>
      Array.from({ length: Math.max(1, count) }, () => {
        const wallClockMs = options.wallClockMs * (lane === 'slow' ? slowPatience : 1)
        return new WorkerSlot({ ...options, wallClockMs, lane, sliceMs }, events)
      })
    this.#slots = slots(options.workers, 'quick')
    this.#slowSlots = slots(slowWorkers, 'slow')
    const { asideWorkers = asideFor(options.workers) } = options
    this.#asideSlots = { quick: slots(asideWorkers, 'quick'), slow: slots(1, 'slow') }
    const maxForksEach = this.#asideSlots.quick.length
    this.#forks = new Forks(metrics, { ...defaultForkLimits, maxForksEach, ...options.forks })
    metrics.gauge('aonet_vm_queued_calls', 'Calls that wait for a worker', () =>
      this.#allSlots.reduce((sum, { queued }) => sum + queued, 0),
    )
  }

  async start(options: AbortOptions = {}): Promise<void> {
    if (this.#started) return
    this.#started = true
    try {
      await Promise.all(this.#slots.map(slot => slot.start(options)))
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  async stop(): Promise<void> {
    this.#started = false
    await Promise.all(this.#allSlots.map(slot => slot.stop()))
  }

  get #allSlots(): readonly WorkerSlot[] {
    return [...this.#slots, ...this.#slowSlots, ...this.#asideSlots.quick, ...this.#asideSlots.slow]
  }

  /** @throws AoError `NOT_READY` before `start`, `STOPPING` after `stop`, and as the port says. */
  async open(setup: ProcessSetup, options: AbortOptions = {}): Promise<LiveProcess> {
    throwIfAborted(options.signal)
    if (!vmFormats.includes(setup.format)) {
      throw new AoError('UNSUPPORTED_MODULE', 'this node does not evaluate this Module-Format', {
        format: setup.format,
      })
    }
    if (!this.#started) throw new AoError('NOT_READY', 'the pool of workers is not running')
    const { process } = setup
    const lanes = setup.isAside
      ? this.#aside(process, 0)
      : { quick: slotOf(this.#slots, process), slow: slotOf(this.#slowSlots, process) }
    const live = await this.#remote(setup, { ...lanes, ...options })
    const source: ForkSource = {
      live,
      journal: new Journal(),
      open: (image, place, mayLeave) =>
        this.#remote({ ...setup, lost: undefined, image }, { ...this.#aside(process, place), mayLeave }),
    }
    return new ForkedProcess(source, this.#forks)
  }

  #remote(setup: ProcessSetup, options: Omit<RemoteOptions, 'codes' | 'nextId' | 'moved'>): Promise<RemoteProcess> {
    const moved = (lane: Lane): void => this.#moves.add(1, { lane })
    return RemoteProcess.open(setup, { ...options, codes: this.#codes, nextId: () => ++this.#lastLive, moved })
  }

  #aside(process: ProcessId, place: number): Pick<RemoteOptions, Lane> {
    const { quick, slow } = this.#asideSlots
    return { quick: slotOf(quick, process, place), slow: slotOf(slow, process) }
  }

  #onLost(reason: LossReason, cause: unknown): void {
    this.#losses.add(1, { reason })
    this.#deps.log.error('vm-worker-lost', { reason, cause: cause instanceof Error ? cause.message : undefined })
  }
}

function slotOf(slots: readonly WorkerSlot[], process: ProcessId, place = 0): WorkerSlot {
  const hash = Buffer.from(sha256(utf8(process))).readUInt32BE()
  const slot = slots[(hash + place) % slots.length]
  if (slot === undefined) throw new TypeError('a pool has at least one worker in each lane')
  return slot
}

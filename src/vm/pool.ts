import { type AbortOptions, throwIfAborted } from '../lib/abort.ts'
import { sha256, utf8 } from '../lib/bytes.ts'
import type { Component } from '../lib/component.ts'
import { AoError } from '../lib/errors.ts'
import type { Counter, Histogram, Telemetry } from '../lib/telemetry.ts'
import type { LiveProcess, ProcessSetup, VmPool } from '../ports/vm.ts'
import type { ProcessId } from '../protocol/ids.ts'
import { vmFormats } from './formats.ts'
import type { Lane } from './lane.ts'
import { RemoteProcess } from './remote-process.ts'
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
}

/** Threads of the slow lane run only where others leave room: their calls may last so many times as long. */
const slowPatience = 4

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
  readonly #losses: Counter
  readonly #moves: Counter
  readonly #evaluations: Histogram
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
    metrics.gauge('aonet_vm_queued_calls', 'Calls that wait for a worker', () =>
      [...this.#slots, ...this.#slowSlots].reduce((sum, { queued }) => sum + queued, 0),
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
    await Promise.all([...this.#slots, ...this.#slowSlots].map(slot => slot.stop()))
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
    const lanes = { quick: slotOf(this.#slots, setup.process), slow: slotOf(this.#slowSlots, setup.process) }
    return RemoteProcess.open(setup, {
      ...{ ...lanes, ...options },
      nextId: () => ++this.#lastLive,
      moved: lane => this.#moves.add(1, { lane }),
    })
  }

  #onLost(reason: LossReason, cause: unknown): void {
    this.#losses.add(1, { reason })
    this.#deps.log.error('vm-worker-lost', { reason, cause: cause instanceof Error ? cause.message : undefined })
  }
}

function slotOf(slots: readonly WorkerSlot[], process: ProcessId): WorkerSlot {
  const hash = Buffer.from(sha256(utf8(process))).readUInt32BE()
  const slot = slots[hash % slots.length]
  if (slot === undefined) throw new TypeError('a pool has at least one worker in each lane')
  return slot
}

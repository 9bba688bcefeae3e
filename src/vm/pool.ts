import { type AbortOptions, throwIfAborted } from '../lib/abort.ts'
import { sha256, utf8 } from '../lib/bytes.ts'
import type { Component } from '../lib/component.ts'
import { AoError } from '../lib/errors.ts'
import type { Counter, Histogram, Telemetry } from '../lib/telemetry.ts'
import type { LiveProcess, ProcessSetup, Step, VmImage, VmMessage, VmPool, VmUsage } from '../ports/vm.ts'
import type { ProcessId } from '../protocol/ids.ts'
import type { Evaluation } from '../protocol/result.ts'
import { vmFormats } from './formats.ts'
import type { Costed, PrepareOutcome, WorkerRequest } from './worker-messages.ts'
import { type LossReason, WorkerSlot } from './worker-slot.ts'

export interface WorkerVmPoolOptions {
  /** Threads. One per core but one leaves room for the rest of the node. */
  readonly workers: number
  /** Live instances per worker; the one used longest ago is dropped for a new one. About 6 MB each for aos. */
  readonly maxLive: number
  /** Calls that wait per worker before more are refused. */
  readonly maxQueued: number
  /** A worker busy for longer with one call is ended. Self-protection, not a rule of the network: set it generously. */
  readonly wallClockMs: number
}

/** A worker's time per call, in seconds. */
const evaluationBuckets = [0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1, 5]

/**
 * Evaluates Processes in worker threads, each Process always in the same one. This thread compiles and runs nothing.
 *
 * A call that outlasts the wall clock rejects with `DEADLINE` and takes its worker with it: the other Processes there
 * answer `NOT_READY` until they are opened again.
 */
export class WorkerVmPool implements VmPool, Component {
  readonly name = 'vm-pool'
  readonly formats = vmFormats
  readonly #deps: Telemetry
  readonly #slots: readonly WorkerSlot[]
  readonly #losses: Counter
  readonly #evaluations: Histogram
  #lastLive = 0
  #started = false

  constructor(deps: Telemetry, options: WorkerVmPoolOptions) {
    const { metrics } = deps
    this.#deps = deps
    this.#losses = metrics.counter('aonet_vm_workers_lost_total', 'Worker threads ended or crashed', ['reason'])
    this.#evaluations = metrics.histogram(
      'aonet_vm_call_seconds',
      'Time a worker takes for one call',
      evaluationBuckets,
    )
    const events = {
      lost: (reason: LossReason, cause: unknown) => this.#onLost(reason, cause),
      worked: (milliseconds: number) => this.#evaluations.observe(milliseconds / 1000),
    }
    const slots = Array.from({ length: Math.max(1, options.workers) }, () => new WorkerSlot(options, events))
    this.#slots = slots
    metrics.gauge('aonet_vm_queued_calls', 'Calls that wait for a worker', () =>
      slots.reduce((sum, { queued }) => sum + queued, 0),
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
    await Promise.all(this.#slots.map(slot => slot.stop()))
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
    const slot = this.#slotOf(setup.process)
    const live = new RemoteProcess(slot, ++this.#lastLive)
    try {
      live.charge(await openIn(slot, live.id, setup, options))
    } catch (error) {
      await live.close() // an abandoned call may still succeed
      throw error
    }
    return live
  }

  #slotOf(process: ProcessId): WorkerSlot {
    const hash = Buffer.from(sha256(utf8(process))).readUInt32BE()
    const slot = this.#slots[hash % this.#slots.length]
    if (slot === undefined) throw new TypeError('a pool has at least one worker')
    return slot
  }

  #onLost(reason: LossReason, cause: unknown): void {
    this.#losses.add(1, { reason })
    this.#deps.log.error('vm-worker-lost', { reason, cause: cause instanceof Error ? cause.message : undefined })
  }
}

async function openIn(
  slot: WorkerSlot,
  live: number,
  setup: ProcessSetup,
  options: AbortOptions,
): Promise<Costed<undefined>> {
  const { module, format, environment, limits, image } = setup
  const prepare = (bytes?: Uint8Array): Promise<unknown> =>
    slot.call({ type: 'prepare', module, format, limits, bytes }, options)
  // The image can be handed over only once: not before the worker has the module.
  const outcome = (await prepare()) as PrepareOutcome
  if (outcome === 'module-needed') await prepare(await setup.loadModule(options))
  return (await slot.call(
    { type: 'open', live, module, format, environment, limits, image },
    options,
  )) as Costed<undefined>
}

/** A Process as this thread knows it: a number that its worker can resolve as long as it holds the instance. */
class RemoteProcess implements LiveProcess {
  readonly id: number
  readonly #slot: WorkerSlot
  #closed = false
  #usage: VmUsage = { handledMs: 0, residentBytes: 0 }

  constructor(slot: WorkerSlot, id: number) {
    this.#slot = slot
    this.id = id
  }

  get usage(): VmUsage {
    return this.#usage
  }

  charge<T>({ value, tookMs, residentBytes }: Costed<T>): T {
    this.#usage = { handledMs: this.#usage.handledMs + tookMs, residentBytes }
    return value
  }

  async handle(message: VmMessage, options: AbortOptions = {}): Promise<Step> {
    return this.charge((await this.#call({ type: 'handle', live: this.id, message }, options)) as Costed<Step>)
  }

  async dryRun(message: VmMessage, options: AbortOptions = {}): Promise<Evaluation> {
    return (await this.#call({ type: 'dry-run', live: this.id, message }, options)) as Evaluation
  }

  async snapshot(options: AbortOptions = {}): Promise<VmImage> {
    return (await this.#call({ type: 'snapshot', live: this.id }, options)) as VmImage
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#slot.forget(this.id)
  }

  async #call(request: WorkerRequest, options: AbortOptions): Promise<unknown> {
    if (this.#closed) throw new AoError('NOT_READY', 'the live instance of the Process is closed')
    return this.#slot.call(request, options)
  }
}

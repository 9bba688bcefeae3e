import type { AbortOptions } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Component } from '../../lib/component.ts'
import { AoError } from '../../lib/errors.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { CrankJob } from '../../ports/crank-queue.ts'
import type { MonitoredProcess, MonitorStore } from '../../ports/monitor-store.ts'
import type { Compute, ResultBound, Scheduler } from '../../ports/units.ts'
import type { ProcessId } from '../../protocol/ids.ts'
import { outboxSize } from '../../protocol/result.ts'
import { failureFacts } from '../failure.ts'
import { Loop } from '../loop.ts'
import { newCronJob } from './job.ts'

export interface MonitorsDeps {
  readonly store: MonitorStore
  readonly compute: Compute
  readonly scheduler: Pick<Scheduler, 'clock'>
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Resolves when the jobs are on disk; those that are there already stay as they are. */
  readonly enqueue: (jobs: readonly CrankJob[]) => Promise<void>
}
export interface MonitorsOptions {
  readonly maxMonitors: number
  /** Between two looks at each, in milliseconds. */
  readonly monitorEveryMs: number
  /** For one page of cron results, which a CU may have to evaluate first. */
  readonly monitorTimeoutMs: number
}

/** Looked at side by side. */
const atOnce = 8
const pageRows = 50

/**
 * Has what cron messages send pushed, for the Processes it was told of.
 *
 * Invariant: the jobs of a page are on disk before the cursor moves past it. A crash between the two brings the page again,
 * whose jobs are there or, once forgotten, are answered by the SUs as repeats.
 */
export class Monitors implements Component {
  readonly name = 'monitors'
  readonly #deps: MonitorsDeps
  readonly #options: MonitorsOptions
  readonly #loop: Loop
  #monitored: Map<ProcessId, MonitoredProcess> | undefined

  constructor(deps: MonitorsDeps, options: MonitorsOptions) {
    this.#deps = deps
    this.#options = options
    const { log, metrics } = deps.telemetry
    this.#loop = new Loop(abort => this.#step(abort), log, {
      name: this.name,
      failurePauseMs: options.monitorEveryMs,
    })
    metrics.gauge(
      'aonet_messenger_monitors',
      'Processes whose cron messages are pushed',
      () => this.#monitored?.size ?? 0,
    )
  }

  async start(): Promise<void> {
    await this.#load()
    await this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /** From the time of asking on. @throws AoError `OVERLOADED`; `INVALID_ARGUMENT` if it is monitored here already. */
  async add(process: ProcessId, options: AbortOptions): Promise<void> {
    const { store, scheduler } = this.#deps
    const monitored = await this.#load()
    if (monitored.has(process)) throw twice(process)
    const limit = this.#options.maxMonitors
    if (monitored.size >= limit) throw full(limit)
    const { timestamp } = await scheduler.clock(process, options)
    if (monitored.has(process)) throw twice(process)
    const entry = { process, after: { timestamp: timestamp - 1 } }
    monitored.set(process, entry)
    await store.put(entry)
    this.#loop.wake()
  }

  /** @throws AoError `UNKNOWN_PROCESS` */
  async remove(process: ProcessId): Promise<void> {
    const monitored = await this.#load()
    if (!monitored.delete(process)) throw notMonitored(process)
    await this.#deps.store.remove(process)
  }

  async #load(): Promise<Map<ProcessId, MonitoredProcess>> {
    this.#monitored ??= new Map((await this.#deps.store.all()).map(entry => [entry.process, entry]))
    return this.#monitored
  }

  async #step(options: AbortOptions): Promise<number> {
    const waiting = [...(await this.#load()).keys()]
    const next = async (): Promise<void> => {
      for (let process = waiting.shift(); process !== undefined; process = waiting.shift()) {
        if (options.signal?.aborted) return
        await this.#look(process, options).catch(error => {
          if (!options.signal?.aborted)
            this.#deps.telemetry.log.warn('monitor-failed', { process, ...failureFacts(error) })
        })
      }
    }
    await Promise.all(Array.from({ length: Math.min(atOnce, waiting.length) }, next))
    return this.#options.monitorEveryMs
  }

  async #look(process: ProcessId, options: AbortOptions): Promise<void> {
    const { compute, clock, enqueue } = this.#deps
    for (let more = true; more; ) {
      const after = this.#monitored?.get(process)?.after
      if (after === undefined || options.signal?.aborted) return
      const timeout = AbortSignal.timeout(this.#options.monitorTimeoutMs)
      const signal = options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout])
      const query = { after, crons: true, descending: false, limit: pageRows }
      const { rows, hasNext } = await compute.results(process, query, { signal })
      const now = clock.now()
      const jobs = rows.flatMap(row => (outboxSize(row.result.outbox) > 0 ? newCronJob(row.result, now) : []))
      if (jobs.length > 0) await enqueue(jobs)
      const last = rows.at(-1)?.result
      if (last !== undefined) await this.#moveTo(process, { nonce: last.nonce, cron: last.cron })
      more = hasNext
    }
  }

  async #moveTo(process: ProcessId, after: ResultBound): Promise<void> {
    if (this.#monitored?.has(process) !== true) return // it was removed meanwhile
    const entry = { process, after }
    this.#monitored.set(process, entry)
    await this.#deps.store.put(entry)
    if (!this.#monitored.has(process)) await this.#deps.store.remove(process)
  }
}

const twice = (process: ProcessId): AoError =>
  new AoError('INVALID_ARGUMENT', 'the Process is already being monitored', { process }, { hint: 'Nothing to do.' })

const notMonitored = (process: ProcessId): AoError =>
  new AoError(
    'UNKNOWN_PROCESS',
    'Process monitor not found',
    { process },
    { hint: 'It is not monitored by this MU; ask the one that was told to.' },
  )

const full = (limit: number): AoError =>
  new AoError('OVERLOADED', 'too many Processes are monitored', { limit }, { hint: 'Ask another MU.' })

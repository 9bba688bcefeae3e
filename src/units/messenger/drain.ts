import type { AbortOptions } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Component } from '../../lib/component.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { CrankJob, CrankQueue } from '../../ports/crank-queue.ts'
import { failureFacts } from '../failure.ts'
import { Loop } from '../loop.ts'

export interface DrainDeps {
  readonly queue: CrankQueue
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly run: (job: CrankJob, options: AbortOptions) => Promise<void>
  /** Hears of each job after it was run. */
  readonly onRun: (job: CrankJob) => void
}
export interface DrainOptions {
  /** Jobs run side by side. */
  readonly maxRunning: number
  /** How often the queue is looked at when nothing wakes it, in milliseconds. */
  readonly pollMs: number
}

/** Runs the open jobs of a queue as they fall due, each at most once at a time, until stopped. */
export class Drain implements Component {
  readonly name = 'crank'
  readonly #deps: DrainDeps
  readonly #options: DrainOptions
  readonly #loop: Loop
  readonly #running = new Map<string, Promise<void>>()

  constructor(deps: DrainDeps, options: DrainOptions) {
    this.#deps = deps
    this.#options = options
    const { log, metrics } = deps.telemetry
    this.#loop = new Loop(abort => this.#step(abort), log, { name: this.name, failurePauseMs: options.pollMs })
    metrics.gauge('aonet_messenger_running_jobs', 'Crank jobs being worked on', () => this.#running.size)
  }

  start(): Promise<void> {
    return this.#loop.start()
  }

  async stop(): Promise<void> {
    await this.#loop.stop()
    await Promise.all(this.#running.values())
  }

  wake(): void {
    this.#loop.wake()
  }

  /** Starts what is due and says how long nothing more will be. */
  async #step(abort: AbortOptions): Promise<number> {
    const { queue, clock } = this.#deps
    const { maxRunning, pollMs } = this.#options
    if (this.#running.size >= maxRunning) return pollMs
    // As many as may be running stand before those that are to be started.
    const jobs = await queue.open(maxRunning * 2)
    let pause = pollMs
    for (const job of jobs) {
      if (this.#running.size >= maxRunning) return pollMs // the end of one wakes us
      if (this.#running.has(keyOf(job))) continue
      const wait = job.dueAt - clock.now()
      if (wait > 0) pause = Math.min(pause, wait)
      else this.#begin(job, abort)
    }
    return pause
  }

  #begin(job: CrankJob, abort: AbortOptions): void {
    const { run, onRun, telemetry } = this.#deps
    const { process, message } = job
    const running = run(job, abort)
      .then(() => true)
      .catch(error => {
        // Its state on disk is as before, so it comes up again at the next poll.
        telemetry.log.error('crank job not written', { process, message, ...failureFacts(error) })
        return false
      })
      .then(ran => {
        this.#running.delete(keyOf(job))
        onRun(job)
        if (ran) this.wake()
      })
    this.#running.set(keyOf(job), running)
  }
}

const keyOf = ({ process, message }: CrankJob): string => `${process} ${message}`

import { setMaxListeners } from 'node:events'
import type { AbortOptions } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Component } from '../../lib/component.ts'
import { failpoint } from '../../lib/failpoint.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { CrankJob, CrankQueue } from '../../ports/crank-queue.ts'
import { failureFacts } from '../failure.ts'
import { Loop } from '../loop.ts'

export interface DrainDeps {
  readonly queue: Pick<CrankQueue, 'open'>
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
  #stop = new AbortController()
  /** Until started, and after the end. */
  #closed = true
  /** The disk may hold due jobs that are not running. */
  #behind = false

  constructor(deps: DrainDeps, options: DrainOptions) {
    this.#deps = deps
    this.#options = options
    const { log, metrics } = deps.telemetry
    this.#loop = new Loop(() => this.#step(), log, { name: this.name, failurePauseMs: options.pollMs })
    metrics.gauge('aonet_messenger_running_jobs', 'Crank jobs being worked on', () => this.#running.size)
  }

  start(): Promise<void> {
    this.#stop = new AbortController()
    setMaxListeners(0, this.#stop.signal) // every call of every running job hears it: bounded, but more than ten
    this.#closed = false
    return this.#loop.start()
  }

  async stop(): Promise<void> {
    this.#closed = true
    this.#stop.abort()
    await this.#loop.stop()
    await Promise.all(this.#running.values())
  }

  /** Told of jobs that are on disk and due now: those there is room for begin without a look at the disk. */
  offer(jobs: readonly CrankJob[]): void {
    for (const job of jobs) {
      if (this.#closed) return
      if (this.#running.size >= this.#options.maxRunning) this.postponed()
      else if (!this.#running.has(keyOf(job))) this.#begin(job)
    }
  }

  /** Told that some job waits: the disk is looked at when the next run ends. */
  postponed(): void {
    this.#behind = true
  }

  /** Starts what is due and says how long nothing more will be. */
  async #step(): Promise<number> {
    const { queue, clock } = this.#deps
    const { maxRunning, pollMs } = this.#options
    if (this.#running.size >= maxRunning) return pollMs
    this.#behind = false
    // As many as may be running stand before those that are to be started.
    const jobs = await queue.open(maxRunning * 2)
    failpoint('drain-read')
    let pause = pollMs
    for (const job of jobs) {
      if (this.#closed) return pollMs
      const wait = job.dueAt - clock.now()
      if (wait > 0) pause = Math.min(pause, wait)
      else if (this.#running.size >= maxRunning) this.#behind = true
      else if (!this.#running.has(keyOf(job))) this.#begin(job)
    }
    return pause
  }

  #begin(job: CrankJob): void {
    const { run, onRun, telemetry } = this.#deps
    const { process, message } = job
    const running = run(job, { signal: this.#stop.signal })
      .catch(error => {
        // Its state on disk is as before, so it comes up again at the next poll.
        telemetry.log.error('crank-job-not-written', { process, message, ...failureFacts(error) })
      })
      .then(() => {
        failpoint('drain-ran')
        this.#running.delete(keyOf(job))
        onRun(job)
        if (this.#behind) this.#loop.wake()
      })
    this.#running.set(keyOf(job), running)
  }
}

const keyOf = ({ process, message }: CrankJob): string => `${process} ${message}`

import type { Clock } from '../../lib/clock.ts'
import type { Component } from '../../lib/component.ts'
import type { Gauge, Telemetry } from '../../lib/telemetry.ts'
import type { CrankQueue } from '../../ports/crank-queue.ts'
import { Loop } from '../loop.ts'

export interface PurgeDeps {
  readonly queue: Pick<CrankQueue, 'purge' | 'ended'>
  readonly clock: Clock
  readonly telemetry: Telemetry
}
export interface PurgeOptions {
  /** How long an ended job can be asked about, in milliseconds. */
  readonly keepEndedMs: number
  /** How many ended jobs are kept at most; the oldest go first. */
  readonly keepEnded: number
  readonly purgeEveryMs: number
}

/** Jobs forgotten in one write. */
const atOnce = 256

/** Forgets ended jobs after a stated time and over a stated number, little by little. */
export class Purge implements Component {
  readonly name = 'crank purge'
  readonly #deps: PurgeDeps
  readonly #options: PurgeOptions
  readonly #loop: Loop
  readonly #ended: Gauge

  constructor(deps: PurgeDeps, options: PurgeOptions) {
    this.#deps = deps
    this.#options = options
    const { log, metrics } = deps.telemetry
    this.#loop = new Loop(() => this.#step(), log, { name: this.name, failurePauseMs: options.purgeEveryMs })
    this.#ended = metrics.gauge('aonet_messenger_ended_jobs', 'Ended crank jobs that are kept to be asked about')
  }

  start(): Promise<void> {
    return this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  async #step(): Promise<number> {
    const { queue, clock } = this.#deps
    const { keepEndedMs, keepEnded, purgeEveryMs } = this.#options
    const retention = { endedBefore: clock.now() - keepEndedMs, keepAtMost: keepEnded, limit: atOnce }
    const gone = await queue.purge(retention)
    this.#ended.set(await queue.ended())
    return gone < atOnce ? purgeEveryMs : 0
  }
}

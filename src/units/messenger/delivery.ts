import type { AbortOptions } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { failpoint } from '../../lib/failpoint.ts'
import type { CrankChange, CrankJob } from '../../ports/crank-queue.ts'
import type { CrankPart } from '../../ports/units.ts'
import type { Outbox } from '../../protocol/result.ts'
import { reasonOf } from '../failure.ts'
import { newJob } from './job.ts'
import type { Pusher, PushOutcome } from './pusher.ts'
import { isTransient } from './retry.ts'

export interface DeliveryDeps {
  readonly pusher: Pick<Pusher, 'push'>
  readonly clock: Clock
  readonly write: (change: CrankChange) => Promise<void>
  /** Hears of each part that is pushed or failed for good. */
  readonly onSettled: (part: CrankPart, index: number) => void
}
export interface DeliveryOptions {
  /** Targets of one outbox that are pushed to side by side. */
  readonly maxLanes: number
}

/** How far a delivery came. Nothing of `add` and of the last outcomes in `job` is on disk yet. */
export interface Delivered {
  readonly job: CrankJob
  readonly add: readonly CrankJob[]
  /** Why parts still wait. */
  readonly delayed: unknown
}

/**
 * Pushes the waiting parts of one job: those to one target one after the other, different targets side by side.
 *
 * Invariant: a part's outcome and the job it sets off are one write. Outcomes are written while further parts are under
 * way, as many as there are at once; what a crash loses of them is pushed again with the same signed item.
 */
export class Delivery {
  readonly #deps: DeliveryDeps
  readonly #options: DeliveryOptions
  readonly #outbox: Outbox
  #job: CrankJob
  #add: CrankJob[] = []
  #waiting = 0
  #changed = false
  #writing: Promise<void> | undefined
  #failure: unknown
  #delayed: unknown

  constructor(job: CrankJob, outbox: Outbox, deps: DeliveryDeps, options: DeliveryOptions) {
    this.#job = job
    this.#outbox = outbox
    this.#deps = deps
    this.#options = options
  }

  /** @throws AoError if the queue cannot be written. An aborted signal ends it early. */
  async run(options: AbortOptions): Promise<Delivered> {
    const lanes = lanesOf(this.#job.parts)
    this.#waiting = lanes.reduce((sum, lane) => sum + lane.length, 0)
    const next = async (): Promise<void> => {
      for (let lane = lanes.shift(); lane !== undefined; lane = lanes.shift()) await this.#pushLane(lane, options)
    }
    await Promise.all(Array.from({ length: Math.min(this.#options.maxLanes, lanes.length) }, next))
    await this.#writing
    if (this.#failure !== undefined) throw this.#failure
    return { job: this.#job, add: this.#add, delayed: this.#delayed }
  }

  async #pushLane(lane: readonly number[], options: AbortOptions): Promise<void> {
    for (const [done, index] of lane.entries()) {
      if (options.signal?.aborted || this.#failure !== undefined) return
      try {
        const outcome = await this.#deps.pusher.push(this.#job, this.#outbox, { index, ...options })
        failpoint('part-pushed')
        this.#settle(index, outcome)
      } catch (error) {
        if (options.signal?.aborted) return
        if (isTransient(error)) {
          this.#delayed ??= error
          this.#waiting -= lane.length - done // the rest of the lane keeps its place behind this part
          return
        }
        const part = this.#job.parts[index] as CrankPart
        this.#settle(index, { part: { ...part, state: 'failed', reason: reasonOf(error) } })
      }
    }
  }

  #settle(index: number, { part, next = [] }: PushOutcome): void {
    const { root, depth } = this.#job
    const now = this.#deps.clock.now()
    this.#job = { ...this.#job, at: now, parts: this.#job.parts.with(index, part) }
    this.#add.push(...next.map(assignment => newJob(assignment, { root, depth: depth + 1, now })))
    this.#changed = true
    this.#deps.onSettled(part, index)
    // The last outcome is left to whoever ends the job: one write for both.
    if (--this.#waiting > 0) this.#writing ??= this.#writeAll()
  }

  async #writeAll(): Promise<void> {
    try {
      while (this.#changed && this.#waiting > 0) {
        const add = this.#add
        this.#add = []
        this.#changed = false
        await this.#deps.write({ add, update: [this.#job], sync: false }) // as Crank ends a job
        failpoint('part-written')
      }
    } catch (error) {
      this.#failure ??= error
    } finally {
      this.#writing = undefined
    }
  }
}

/** Places of the waiting parts by target, in order. */
function lanesOf(parts: readonly CrankPart[]): number[][] {
  const lanes = new Map<string, number[]>()
  for (const [index, { state, target }] of parts.entries()) {
    if (state !== 'waiting') continue
    const lane = lanes.get(target)
    if (lane === undefined) lanes.set(target, [index])
    else lane.push(index)
  }
  return [...lanes.values()]
}

import type { Clock } from '../../lib/clock.ts'
import { AoError, type ErrorFacts } from '../../lib/errors.ts'
import { failpoint } from '../../lib/failpoint.ts'
import type { Gauge, Telemetry } from '../../lib/telemetry.ts'
import type { CrankChange, CrankJob, CrankQueue } from '../../ports/crank-queue.ts'
import type { CrankOptions } from '../../ports/units.ts'
import type { MessageId } from '../../protocol/ids.ts'
import type { Routes } from '../routing/route.ts'
import { noSuchPart } from './crank.ts'
import type { Drain } from './drain.ts'
import type { Feed } from './feed.ts'
import { foreignJob, hasFailed, isEnded, newJob, type Ordered, reopened } from './job.ts'
import type { RootBudget } from './root-budget.ts'

export interface JobBookDeps {
  readonly queue: CrankQueue
  readonly budget: RootBudget
  readonly feed: Feed
  readonly routes: Pick<Routes, 'foreign'>
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Which runs what is written here, and writes here itself. */
  readonly drain: () => Drain
}

/** Where crank jobs are written down, and from where whoever runs, counts or follows them hears of it. */
export class JobBook {
  readonly #deps: JobBookDeps
  readonly #maxDepth: number
  readonly #open: Gauge

  constructor(deps: JobBookDeps, { maxDepth }: { readonly maxDepth: number }) {
    this.#deps = deps
    this.#maxDepth = maxDepth
    this.#open = deps.telemetry.metrics.gauge('aonet_messenger_open_jobs', 'Crank jobs neither done nor failed')
  }

  /** A job that ended badly is opened again for a person who asks, not for another MU, lest two wake each other for ever. */
  async reopen(job: CrankJob, { depth, part }: Pick<CrankOptions, 'depth' | 'part'>): Promise<void> {
    const { process, message, parts, only } = job
    if (part !== undefined && parts.length > 0 && part >= parts.length) {
      throw new AoError('INVALID_ARGUMENT', noSuchPart(parts.length, part), { process, message, part })
    }
    if (!isEnded(job) && only !== undefined && only !== part) throw busyWith(only, { process, message })
    if (depth !== undefined || !isEnded(job) || !hasFailed(job, part)) return
    const again = reopened(job, { now: this.#deps.clock.now(), only: part })
    await this.write({ update: [again] })
    this.#deps.drain().offer([again])
  }

  /** A new job, once its message is ordered. */
  async enqueue(
    assignment: Ordered,
    root: MessageId,
    { depth = 0, part }: Pick<CrankOptions, 'depth' | 'part'> = {},
  ): Promise<void> {
    const now = this.#deps.clock.now()
    const job = newJob(assignment, { root, depth: Math.min(depth, this.#maxDepth), now, only: part })
    const foreign = await this.#deps.routes.foreign(assignment.process)
    await this.write({ add: [foreign === undefined ? job : foreignJob(job, foreign.url)] })
    this.measure()
  }

  /**
   * Once it is on disk, new jobs begin and whoever follows a root hears of it. Jobs that a job set off begin at once:
   * until they are on disk, it is not ended there either, and would set them off again.
   */
  async write(change: CrankChange): Promise<void> {
    const { update = [], sync = true } = change
    const begin = (added: readonly CrankJob[]): void => this.#deps.drain().offer(added.filter(job => !isEnded(job)))
    const added = await this.#deps.queue.write(change, { onAdding: sync ? undefined : begin })
    failpoint('mu-written')
    this.#deps.budget.added(added)
    if (update.some(({ state }) => state === 'waiting')) this.#deps.drain().postponed()
    if (sync) begin(added)
    this.#deps.feed.changed([...added, ...update])
  }

  /** Of open jobs, for the gauge. */
  measure(): void {
    this.#deps.queue.size().then(
      open => this.#open.set(open),
      () => undefined, // a gauge is no reason to fail
    )
  }
}

const busyWith = (part: number, facts: ErrorFacts): AoError =>
  new AoError('OVERLOADED', `its part ${part} is being pushed`, facts, { hint: 'Ask again once that is done.' })

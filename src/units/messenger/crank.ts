import { type AbortOptions, underDeadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { failpoint } from '../../lib/failpoint.ts'
import type { Counter, Telemetry } from '../../lib/telemetry.ts'
import { nextTurn } from '../../lib/turn.ts'
import type { CrankChange, CrankJob, CrankQueue } from '../../ports/crank-queue.ts'
import type { HostTable } from '../../ports/hosts.ts'
import type { Compute, CrankPart, CronAt, PinnedResult } from '../../ports/units.ts'
import { parseAttestation } from '../../protocol/attestation.ts'
import { checkedDataItem } from '../../protocol/checked-items.ts'
import type { MessageId, Nonce } from '../../protocol/ids.ts'
import { type Outbox, outboxSize } from '../../protocol/result.ts'
import { failureFacts, reasonOf } from '../failure.ts'
import { type Delivered, Delivery, type DeliveryOptions } from './delivery.ts'
import { partsOf, pinOf, summaryOf } from './job.ts'
import type { Pusher } from './pusher.ts'
import { isTransient, pauseBefore, type RetryOptions } from './retry.ts'
import type { RootBudget } from './root-budget.ts'

export interface CrankDeps {
  readonly queue: Pick<CrankQueue, 'get'> & { readonly write: (change: CrankChange) => Promise<void> }
  readonly budget: Pick<RootBudget, 'isSpent'>
  readonly compute: Compute
  readonly hosts?: Pick<HostTable, 'newestEpoch'> | undefined
  readonly pusher: Pick<Pusher, 'push' | 'staysHere'>
  /** As of the unit. */
  readonly sharesStore?: boolean | undefined
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** From 0 to 1. */
  readonly random: () => number
}
export interface CrankRunOptions extends RetryOptions, DeliveryOptions {
  /** Hops from the user's message; a conversation that goes on longer ends there. */
  readonly maxDepth: number
  /** Parts of one outbox. */
  readonly maxParts: number
  /** Messages that one user's message may set off. */
  readonly maxRootJobs: number
  readonly resultTimeoutMs: number
}

interface Answer {
  readonly outbox: Outbox
  readonly pin: PinnedResult
  /** Resolves when it is on disk, if it was not. */
  readonly stored: Promise<void> | undefined
}

/**
 * Brings one job on as far as it goes now: asks for the result, pushes what waits, writes down each step.
 *
 * Invariant: all parts of a job that are pushed are out of one outbox, the one whose root was written down before the
 * first of several was pushed. A later answer with another root ends the job. Nobody sees anything of an answer that is
 * not on disk: what is written here, or ordered by an SU over the same store, lies behind it in that store's log.
 */
export class Crank {
  readonly #deps: CrankDeps
  readonly #options: CrankRunOptions
  readonly #parts: Counter

  constructor(deps: CrankDeps, options: CrankRunOptions) {
    this.#deps = deps
    this.#options = options
    this.#parts = deps.telemetry.metrics.counter('aonet_messenger_parts_total', 'Outbox parts by outcome', ['outcome'])
  }

  /** Never throws for what goes wrong with the job, which is written into it; throws if the queue cannot be written. */
  async run(job: CrankJob, options: AbortOptions): Promise<void> {
    try {
      failpoint('crank-begun')
      const answer = await this.#ask(job, options)
      failpoint('crank-result')
      await this.#presentable(answer, options)
      const objection = await this.#objection(job, answer)
      failpoint('crank-judged')
      if (objection !== undefined) await this.#fail(job, objection, answer.pin)
      else await this.#push(job, answer, options)
    } catch (error) {
      if (options.signal?.aborted) return // stopping: the job stays as it is on disk
      const reached = await this.#deps.queue.get(job.process, job.message)
      await this.#save(this.#postponed(reached ?? job, error))
    }
  }

  /** Resolves when the outbox may be pushed: once it is on disk, or now if nobody can see it sooner. */
  async #presentable({ outbox, stored }: Answer, options: AbortOptions): Promise<void> {
    if (stored === undefined) return
    const staysHere = await this.#deps.pusher.staysHere(outbox, options).catch(() => false)
    if (!staysHere) await stored
  }

  async #ask(job: CrankJob, options: AbortOptions): Promise<Answer> {
    const { compute, sharesStore: unstored } = this.#deps
    const { result, attestation, stored } = await underDeadline(this.#options.resultTimeoutMs, options, signal =>
      compute.result(job.process, this.#placeOf(job), { signal, unstored }),
    )
    return { outbox: result.outbox, pin: pinOf(parseAttestation(await checkedDataItem(attestation))), stored }
  }

  /** A nonce of an earlier host may be another message's by now: then the message is asked for by its id. */
  #placeOf({ process, message, nonce, cron, epoch = 0 }: CrankJob): Nonce | CronAt | MessageId {
    if (cron !== undefined) return { nonce, cron }
    return (this.#deps.hosts?.newestEpoch(process) ?? 0) === epoch ? nonce : message
  }

  /** Why nothing of the outbox may be pushed, ever. */
  async #objection(job: CrankJob, { outbox, pin }: Answer): Promise<string | undefined> {
    const { maxDepth, maxParts, maxRootJobs } = this.#options
    const size = outboxSize(outbox)
    if (job.result !== undefined && job.result.outboxRoot !== pin.outboxRoot) return contradiction(job.result, pin)
    if (job.only !== undefined && job.only >= size) return noSuchPart(size, job.only)
    if (size === 0) return undefined
    if (job.depth >= maxDepth) return `the conversation is ${job.depth} hops long, the limit`
    if (size > maxParts) return `the outbox has ${size} parts, over the limit of ${maxParts}`
    if (!(await this.#deps.budget.isSpent(job.root))) return undefined
    return `the message ${job.root} has set off ${maxRootJobs} others, the limit`
  }

  async #push(job: CrankJob, { outbox, pin }: Answer, options: AbortOptions): Promise<void> {
    const parts = job.parts.length > 0 ? job.parts : partsOf(outbox, job.only)
    const begun: CrankJob = { ...job, state: 'pushing', parts, result: job.result ?? pin, reason: undefined }
    // A single part cannot be mixed with others: it is written once, when it is pushed.
    if (job.result === undefined && parts.length > 1) {
      await this.#deps.queue.write({ update: [begun] })
      failpoint('crank-pinned')
    }
    const { pusher, clock, queue } = this.#deps
    const onSettled = (part: CrankPart, index: number): void => this.#note(begun, part, index)
    const delivery = new Delivery(
      begun,
      outbox,
      { pusher, clock, onSettled, write: change => queue.write(change) },
      this.#options,
    )
    const delivered = await delivery.run(options)
    failpoint('crank-delivered')
    if (delivered.add.length > 0) await nextTurn() // what was pushed is evaluated sooner than this is written down
    await this.#conclude(delivered)
    failpoint('crank-ended')
  }

  async #conclude({ job, add, delayed }: Delivered): Promise<void> {
    const at = this.#deps.clock.now()
    if (delayed !== undefined) {
      await this.#save(this.#postponed(job, delayed), add)
      return failpoint('crank-postponed')
    }
    const open = job.parts.some(({ state }) => state === 'waiting')
    if (!open) return this.#save({ ...job, at, state: 'done', reason: summaryOf(job.parts) }, add)
    await this.#save(job, add) // stopping: what is known is kept
  }

  #postponed(job: CrankJob, error: unknown): CrankJob {
    const { clock, random, telemetry } = this.#deps
    const { process, message, root, attempts } = job
    const at = clock.now()
    const reason = reasonOf(error)
    telemetry.log.debug('crank-delayed', { process, message, root, attempts, ...failureFacts(error) })
    const pause = isTransient(error) ? pauseBefore(attempts, random(), this.#options) : undefined
    if (pause !== undefined) return { ...job, at, state: 'waiting', attempts: attempts + 1, reason, dueAt: at + pause }
    telemetry.log.warn('crank-given-up', { process, message, root, attempts, reason })
    if (job.parts.length === 0) return { ...job, at, state: 'failed', reason }
    const parts = job.parts.map(
      (part): CrankPart =>
        part.state === 'waiting' ? { ...part, state: 'failed', reason: `given up: ${reason}` } : part,
    )
    return { ...job, at, parts, state: 'done', reason: summaryOf(parts) }
  }

  #fail(job: CrankJob, reason: string, pin: PinnedResult): Promise<void> {
    const { process, message, root } = job
    this.#deps.telemetry.log.warn('crank-failed', { process, message, root, reason })
    return this.#save({ ...job, at: this.#deps.clock.now(), state: 'failed', result: job.result ?? pin, reason })
  }

  #note({ process, message, root }: CrankJob, { state, reason }: CrankPart, index: number): void {
    this.#parts.add(1, { outcome: state })
    if (state === 'failed') this.#deps.telemetry.log.warn('part-failed', { process, message, root, index, reason })
  }

  /**
   * Without waiting for the disk: after a power cut the job is as it was before, is run again, and pushes the same items,
   * which the SUs answer as they did. So do the jobs it set off, down from the one that a user was promised.
   */
  #save(job: CrankJob, add: readonly CrankJob[] = []): Promise<void> {
    return this.#deps.queue.write({ add, update: [job], sync: false })
  }
}

export const noSuchPart = (size: number, part: number): string => `the outbox has ${size} parts, and none at ${part}`

const contradiction = (first: PinnedResult, now: PinnedResult): string =>
  `the results contradict: the CU ${first.compute} signed the outbox ${first.outboxRoot}, and the CU ${now.compute} the outbox ${now.outboxRoot}. Nothing more is pushed; compare the two with \`aonet trace\``

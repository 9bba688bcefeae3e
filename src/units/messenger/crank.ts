import { type AbortOptions, withDeadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Counter, Telemetry } from '../../lib/telemetry.ts'
import type { CrankJob, CrankQueue } from '../../ports/crank-queue.ts'
import type { Compute, CrankPart } from '../../ports/units.ts'
import { type Outbox, outboxSize } from '../../protocol/result.ts'
import { failureFacts, reasonOf } from '../failure.ts'
import type { Pusher, PushOutcome } from './pusher.ts'
import { isTransient, pauseBefore, type RetryOptions } from './retry.ts'

export interface CrankDeps {
  readonly queue: CrankQueue
  readonly compute: Compute
  readonly pusher: Pusher
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** From 0 to 1. */
  readonly random: () => number
}
export interface CrankOptions extends RetryOptions {
  /** Hops from the user's message; a conversation that goes on longer ends there. */
  readonly maxDepth: number
  /** Parts of one outbox. */
  readonly maxParts: number
  readonly resultTimeoutMs: number
}

/**
 * Brings one job on as far as it goes now: asks for the result, pushes what waits, writes down each step.
 *
 * Invariant: a part's outcome and the jobs it sets off are one write. A crash between push and write repeats the push
 * with the same signed item, to which the SU answers with the same Assignment: so each part is pushed exactly once.
 */
export class Crank {
  readonly #deps: CrankDeps
  readonly #options: CrankOptions
  readonly #parts: Counter

  constructor(deps: CrankDeps, options: CrankOptions) {
    this.#deps = deps
    this.#options = options
    this.#parts = deps.telemetry.metrics.counter('aonet_messenger_parts_total', 'Outbox parts by outcome', ['outcome'])
  }

  /** Never throws for what goes wrong with the job, which is written into it; throws if the queue cannot be written. */
  async run(job: CrankJob, options: AbortOptions): Promise<void> {
    try {
      const outbox = await this.#outbox(job, options)
      const begun = await this.#begin(job, outbox)
      if (begun.state === 'pushing') await this.#pushAll(begun, outbox, options)
    } catch (error) {
      if (options.signal?.aborted) return // stopping: the job stays as it is on disk
      const reached = await this.#deps.queue.get(job.process, job.message)
      await this.#postpone(reached ?? job, error)
    }
  }

  async #outbox(job: CrankJob, options: AbortOptions): Promise<Outbox> {
    const signal = withDeadline(this.#options.resultTimeoutMs, options)
    return (await this.#deps.compute.result(job.process, job.nonce, { signal })).result.outbox
  }

  /** Writes down the parts before the first is pushed. */
  async #begin(job: CrankJob, outbox: Outbox): Promise<CrankJob> {
    const size = outboxSize(outbox)
    const { maxDepth, maxParts } = this.#options
    if (size === 0) return this.#save({ ...job, state: 'done', reason: undefined })
    if (job.depth >= maxDepth) return this.#fail(job, `the conversation is ${job.depth} hops long, the limit`)
    if (size > maxParts) return this.#fail(job, `the outbox has ${size} parts, over the limit of ${maxParts}`)
    if (job.parts.length > 0 && job.parts.length !== size) {
      return this.#fail(job, `the outbox had ${job.parts.length} parts and now has ${size}: the results contradict`)
    }
    const parts = job.parts.length > 0 ? job.parts : partsOf(outbox)
    return this.#save({ ...job, state: 'pushing', parts, reason: undefined })
  }

  async #pushAll(job: CrankJob, outbox: Outbox, options: AbortOptions): Promise<void> {
    let current = job
    let delayed: unknown
    const blocked = new Set<string>() // parts to one target keep their order
    for (const [index, part] of job.parts.entries()) {
      if (part.state !== 'waiting' || blocked.has(part.target)) continue
      try {
        const outcome = await this.#deps.pusher.push(current, outbox, { index, ...options })
        current = await this.#settlePart(current, index, outcome)
      } catch (error) {
        if (options.signal?.aborted) return
        if (isTransient(error)) {
          delayed ??= error
          blocked.add(part.target)
        } else
          current = await this.#settlePart(current, index, {
            part: { ...part, state: 'failed', reason: reasonOf(error) },
          })
      }
    }
    if (delayed === undefined) await this.#save({ ...current, state: 'done', reason: summary(current) })
    else await this.#postpone(current, delayed)
  }

  async #settlePart(job: CrankJob, index: number, { part, next = [] }: PushOutcome): Promise<CrankJob> {
    const parts = job.parts.with(index, part)
    this.#parts.add(1, { outcome: part.state })
    if (part.state === 'failed') {
      const { process, message, root } = job
      this.#deps.telemetry.log.warn('part failed', { process, message, root, index, reason: part.reason })
    }
    const now = this.#deps.clock.now()
    const add = next.map(
      ({ process, message, nonce }): CrankJob => ({
        ...{ process, message, nonce, root: job.root, depth: job.depth + 1, dueAt: now },
        ...{ state: 'queued', attempts: 0, parts: [], reason: undefined },
      }),
    )
    const update = { ...job, parts }
    await this.#deps.queue.write({ add, update: [update] })
    return update
  }

  async #postpone(job: CrankJob, error: unknown): Promise<CrankJob> {
    const { clock, random, telemetry } = this.#deps
    const { process, message, root, attempts } = job
    const reason = reasonOf(error)
    telemetry.log.debug('crank delayed', { process, message, root, attempts, ...failureFacts(error) })
    const pause = isTransient(error) ? pauseBefore(attempts, random(), this.#options) : undefined
    if (pause !== undefined) {
      return this.#save({ ...job, state: 'waiting', attempts: attempts + 1, reason, dueAt: clock.now() + pause })
    }
    if (job.parts.length === 0) return this.#fail(job, reason)
    const parts = job.parts.map(
      (part): CrankPart =>
        part.state === 'waiting' ? { ...part, state: 'failed', reason: `given up: ${reason}` } : part,
    )
    const ended = { ...job, parts }
    telemetry.log.warn('crank given up', { process, message, root, attempts, reason })
    return this.#save({ ...ended, state: 'done', reason: summary(ended) })
  }

  #fail(job: CrankJob, reason: string): Promise<CrankJob> {
    const { process, message, root } = job
    this.#deps.telemetry.log.warn('crank failed', { process, message, root, reason })
    return this.#save({ ...job, state: 'failed', reason })
  }

  async #save(job: CrankJob): Promise<CrankJob> {
    await this.#deps.queue.write({ update: [job] })
    return job
  }
}

/** Part i is a message, then a spawn, then an assignment, as `From-Index` and the outbox root count them. */
const partsOf = ({ messages, spawns, assignments }: Outbox): readonly CrankPart[] => {
  const open = { state: 'waiting', message: undefined, nonce: undefined, reason: undefined } as const
  return [
    ...messages.map(({ target }): CrankPart => ({ kind: 'message', target, ...open })),
    ...spawns.map((): CrankPart => ({ kind: 'spawn', target: '', ...open })),
    ...assignments.map(({ processes }): CrankPart => ({ kind: 'assignment', target: processes.join(' '), ...open })),
  ]
}

function summary({ parts }: CrankJob): string | undefined {
  const failed = parts.filter(part => part.state === 'failed').length
  return failed === 0 ? undefined : `${failed} of ${parts.length} parts failed`
}

import type { AssignmentLog, LogEntry } from '../../ports/assignment-log.ts'
import type { SignPromise } from '../../ports/sign-guard.ts'
import type { Assignment, ScheduledMessage } from '../../protocol/assignment.ts'
import type { ProcessId } from '../../protocol/ids.ts'
import type { Ahead, Planned, Request } from './plan.ts'
import { writeFailed } from './refusals.ts'

/**
 * A signed batch on its way to the disk. The next one is prepared behind it, knows it by this, and is written only if
 * this one was.
 */
export class Flight implements Ahead {
  readonly count: number
  /** Settles, without failure, when the outcome is known. */
  readonly landed: Promise<void>
  readonly #planned: ReadonlyMap<string, Planned>
  readonly #signed: ReadonlyMap<SignPromise, LogEntry>
  readonly #tails = new Map<ProcessId, Assignment>()
  #outcome: 'unknown' | 'written' | 'failed' = 'unknown'
  #cause: unknown

  constructor(log: AssignmentLog, planned: readonly Planned[], signed: ReadonlyMap<SignPromise, LogEntry>) {
    this.count = signed.size
    this.#signed = signed
    const byName = new Map<string, Planned>()
    for (const one of planned) {
      const { origin, plan } = one.promise
      byName.set(`${plan.process} ${plan.message}`, one)
      if (origin !== undefined) byName.set(`${plan.process} ${origin}`, one)
    }
    this.#planned = byName
    for (const { assignment } of signed.values()) this.#tails.set(assignment.process, assignment)
    this.landed = log.append([...signed.values()], { lookedUp: true }).then(
      () => {
        this.#outcome = 'written'
      },
      cause => {
        this.#outcome = 'failed'
        this.#cause = cause
      },
    )
  }

  get failed(): boolean {
    return this.#outcome === 'failed'
  }

  /** @throws AoError `LOG_WRITE_FAILED` if it is known to have failed. */
  assertNotFailed(): void {
    if (this.failed) throw writeFailed(this.#cause)
  }

  /** Why it failed. */
  get cause(): unknown {
    return this.#cause
  }

  get promises(): readonly SignPromise[] {
    return [...this.#signed.keys()]
  }

  get rows(): readonly ScheduledMessage[] {
    return [...this.#signed.values()]
  }

  /** The newest Assignment of a Process in it. */
  readonly tailOf = (process: ProcessId): Assignment | undefined => this.#tails.get(process)

  takes(request: Request): boolean {
    const { process, id, origin } = request
    const first = this.#planned.get(`${process} ${id}`) ?? (origin && this.#planned.get(`${process} ${origin}`))
    if (first === undefined) return false
    if (this.#outcome === 'unknown') first.waiting.push(request)
    else this.#answer(first, request)
    return true
  }

  /** Tells all who wait, once it has landed. */
  answerAll(): void {
    for (const planned of new Set(this.#planned.values())) {
      for (const request of planned.waiting) this.#answer(planned, request)
    }
  }

  #answer({ promise }: Planned, { resolve, reject }: Request): void {
    const entry = this.#signed.get(promise)
    if (this.#outcome === 'written' && entry !== undefined) resolve(entry.assignment)
    else reject(writeFailed(this.#cause))
  }
}

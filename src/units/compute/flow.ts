import { throwIfAborted } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import { failpoint } from '../../lib/failpoint.ts'
import type { HostTable } from '../../ports/hosts.ts'
import type { ResultStore } from '../../ports/result-store.ts'
import type { BootItem, Step } from '../../ports/vm.ts'
import type { Assignment, ScheduledMessage } from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { Id, Nonce, ProcessId } from '../../protocol/ids.ts'
import { onBootItem } from '../../protocol/on-boot.ts'
import type { Evaluation } from '../../protocol/result.ts'
import type { SeenItem } from '../assigned-item.ts'
import type { Evaluated } from './attest.ts'
import { type CronDeps, runCronsBefore } from './cron-run.ts'
import { evaluate } from './evaluate.ts'
import { type Live, noteApplied } from './live.ts'
import { repeatOf, type Standing, Standings } from './repeat.ts'
import { type CheckedRow, checkScheduled, type OnRead } from './schedule-check.ts'

export interface FlowDeps extends CronDeps {
  readonly results: ResultStore
  readonly hosts?: HostTable | undefined
  /** The item that an Assignment without a message names. */
  readonly assigned: (named: Pick<Assignment, 'message' | 'exclude'>) => Promise<SeenItem>
  readonly onRead?: OnRead | undefined
  /** Called once the Results up to that message are on their way to the disk. */
  readonly writing: (at: Nonce) => void
  /** Called for each message once its Result is recorded. */
  readonly recorded: (live: Live, at: Nonce) => void
  /** Called for a message that stood at `first` before. */
  readonly repeated: (at: Assignment, first: Nonce) => void
}
export interface FlowOptions {
  /** Messages of one Process that its worker has and has not evaluated yet. */
  readonly maxUnderWay: number
  /** What they may take to evaluate, going by the ones before, in milliseconds. */
  readonly maxUnderWayMs: number
  /** Messages that are given to its worker before the first of them is recorded. */
  readonly maxUnrecorded: number
  /** Of those messages. A single larger one goes alone. */
  readonly maxUnrecordedBytes: number
}

interface UnderWay {
  readonly checked: CheckedRow
  /** As it was ordered; none for what is on Arweave already. */
  readonly item: DataItem | undefined
  readonly standing: Standing
  /** None for a repeat. */
  readonly step: Promise<Step> | undefined
  /** What `step` gave. */
  outcome?: Step
  readonly bytes: number
}

/**
 * The messages of one Process on their way: checked, given to its worker while the ones before are still evaluated there,
 * and recorded in their order.
 *
 * Invariant: after the first failure nothing more is recorded. The instance may then be ahead of the record; the number
 * of messages it has applied tells.
 */
export class Flow {
  readonly #process: ProcessId
  readonly #live: Live
  readonly #deps: FlowDeps
  readonly #options: FlowOptions
  readonly #standings: Standings
  /** The last one given. */
  #at: Assignment | undefined
  /** In their order. */
  readonly #underWay: UnderWay[] = []
  #bytes = 0
  /** How many of them are not evaluated yet. */
  #evaluating = 0
  /** What `vm.usage.handledMs` was when the last one was recorded. */
  #handledMs: number
  #recording: Promise<void> = Promise.resolve()
  #failure: { readonly error: unknown } | undefined
  #moved: () => void = () => undefined

  constructor(live: Live, deps: FlowDeps, options: FlowOptions) {
    this.#process = live.route.item.id as Id as ProcessId
    this.#live = live
    this.#deps = deps
    this.#options = options
    this.#at = live.at
    this.#handledMs = live.vm.usage.handledMs
    this.#standings = new Standings(deps.results, live.route.spec.authorities)
  }

  /** Resolves when it is given. @throws what checking it threw, or recording one before. */
  async take(row: ScheduledMessage): Promise<void> {
    const { assigned: load, hosts, stopped, cutOff, onRead } = this.#deps
    const { scheduler } = this.#live.route.spec
    const judge = hosts && ((assignment: Assignment) => hosts.judge(assignment, scheduler))
    const rules = { scheduler, judge, previous: this.#at, load, onRead }
    const checked = await checkScheduled(this.#process, row, rules)
    failpoint('cu-checked')
    const standing = await this.#standings.of(checked)
    failpoint('cu-first-time')
    const bytes = row.message?.raw.length ?? checked.message.data.length
    if (this.#live.crons.length === 0) await this.#room(bytes)
    else await this.drained() // where crons stand follows from what is recorded
    await runCronsBefore(checked.assignment, this.#process, this.#live, this.#deps)
    throwIfAborted(stopped)
    const boot = await this.#bootItem(checked)
    const options = { signal: cutOff, boot }
    const step = standing.first === undefined ? evaluate(this.#live.vm, checked, options) : undefined
    this.#at = checked.assignment
    this.#add({ checked, item: row.message, standing, step, bytes })
  }

  /** Resolves when all are recorded. @throws what recording threw. */
  async drained(): Promise<void> {
    await this.#recording
    this.#assertNoFailure()
  }

  /** Resolves when nothing is under way any more, recorded or not. */
  settled(): Promise<void> {
    return this.#recording
  }

  /** What the Process is to boot from, at nonce 0. @throws AoError as `assigned`: until it can be read, nothing is said. */
  async #bootItem({ assignment: { nonce } }: CheckedRow): Promise<BootItem | undefined> {
    const id = nonce === 0 ? onBootItem(this.#live.route.item.tags) : undefined
    return id && { id, data: (await this.#deps.assigned({ message: id, exclude: [] })).data }
  }

  async #room(bytes: number): Promise<void> {
    while (this.#underWay.length > 0 && this.#isFull(bytes)) {
      await new Promise<void>(resolve => {
        this.#moved = resolve
      })
    }
    this.#assertNoFailure()
  }

  #isFull(bytes: number): boolean {
    const { maxUnderWay, maxUnderWayMs, maxUnrecorded, maxUnrecordedBytes } = this.#options
    if ((this.#evaluating + 1) * this.#live.messageMs > maxUnderWayMs || this.#evaluating >= maxUnderWay) return true
    return this.#underWay.length >= maxUnrecorded || this.#bytes + bytes > maxUnrecordedBytes
  }

  #assertNoFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  #add(entry: UnderWay): void {
    this.#bytes += entry.bytes
    this.#underWay.push(entry)
    if (entry.step !== undefined) {
      this.#evaluating++
      entry.step
        .then(
          step => {
            entry.outcome = step
          },
          () => undefined, // heard when its turn comes
        )
        .finally(() => {
          this.#evaluating--
          this.#moved()
        })
    }
    if (this.#underWay.length === 1) this.#recording = this.#recordAll()
  }

  /** What is evaluated by the time the disk is free goes there together. */
  async #recordAll(): Promise<void> {
    while (this.#underWay.length > 0) {
      let count = 1
      try {
        const [first] = this.#underWay
        if (first?.step !== undefined) first.outcome = await first.step
        while (count < this.#options.maxUnderWay && this.#underWay[count]?.outcome !== undefined) count++
        if (this.#failure === undefined) await this.#record(this.#underWay.slice(0, count))
      } catch (error) {
        this.#failure ??= { error }
      }
      for (const { bytes } of this.#underWay.splice(0, count)) this.#bytes -= bytes
      this.#moved()
    }
  }

  async #record(entries: readonly UnderWay[]): Promise<void> {
    const live = this.#live
    const { module } = live.route.spec
    const { handledMs } = live.vm.usage
    const evaluated: (Evaluated & { readonly after: Step })[] = []
    let last: Pick<Step, 'stateRoot' | 'stateNonce' | 'applied'> = { ...live, stateRoot: live.root }
    for (const { checked, item, standing, outcome } of entries) {
      const { assignment } = checked
      const after: Step = outcome ?? { ...last, evaluation: this.#nothing(assignment, standing) }
      failpoint('cu-evaluated')
      this.#assertNext(last.applied + (outcome === undefined ? 0 : 1), after, assignment)
      const { stateRoot, stateNonce, evaluation } = after
      const result = { ...evaluation, process: this.#process, nonce: assignment.nonce, stateRoot, stateNonce }
      const names = { origin: standing.origin, isRepeat: standing.first !== undefined }
      evaluated.push({ result, assignment, module, previousStateRoot: last.stateRoot, names, message: item, after })
      last = after
    }
    const newest = entries.at(-1)?.checked.assignment.nonce
    const onWriting = newest === undefined ? undefined : (): void => this.#deps.writing(newest)
    await this.#deps.attestor.recordAll(evaluated, { onWriting })
    for (const { checked, standing } of entries) this.#standings.stored(checked, standing)
    for (const { assignment, after } of evaluated) this.#apply(assignment, after)
    live.messageMs = (handledMs - this.#handledMs) / entries.length
    this.#handledMs = handledMs
    for (const { assignment } of evaluated) {
      failpoint('cu-applied')
      this.#deps.recorded(live, assignment.nonce)
    }
  }

  /** @throws AoError `NOT_READY` if the instance went ahead of the record: a result could not be stored, or was lost. */
  #assertNext(expected: number, { applied }: Step, { nonce }: Assignment): void {
    if (applied === expected) return
    throw new AoError('NOT_READY', 'the instance is not where it should be', { applied, nonce })
  }

  #apply(assignment: Assignment, after: Step): void {
    const live = this.#live
    live.at = assignment
    live.cron = undefined
    if (assignment.nonce === 0) live.origin = assignment
    noteApplied(live, after)
  }

  #nothing(assignment: Assignment, { first }: Standing): Evaluation {
    if (first === undefined) throw new TypeError('only a repeat is not evaluated')
    this.#deps.repeated(assignment, first)
    return repeatOf(first)
  }
}

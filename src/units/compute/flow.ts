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
import type { SeenItem } from '../assigned-item.ts'
import { type CronDeps, runCronsBefore } from './cron-run.ts'
import { evaluate } from './evaluate.ts'
import { type Live, noteApplied } from './live.ts'
import { repeatOf, type Standing, Standings } from './repeat.ts'
import { type CheckedRow, checkScheduled } from './schedule-check.ts'

export interface FlowDeps extends CronDeps {
  readonly results: ResultStore
  readonly hosts?: HostTable | undefined
  /** The item that an Assignment without a message names. */
  readonly assigned: (named: Pick<Assignment, 'message' | 'exclude'>) => Promise<SeenItem>
  /** Called for each message once its Result is recorded. */
  readonly recorded: (live: Live, at: Nonce) => void
  /** Called for a message that stood at `first` before. */
  readonly repeated: (at: Assignment, first: Nonce) => void
}
export interface FlowOptions {
  /** Messages of one Process that are given to its worker before the first of them is recorded. */
  readonly maxUnderWay: number
  /** Of those messages. A single larger one goes alone. */
  readonly maxUnderWayBytes: number
  /** What they may take to evaluate, going by the ones before, in milliseconds. */
  readonly maxUnderWayMs: number
}

interface UnderWay {
  readonly checked: CheckedRow
  /** As it was ordered; none for what is on Arweave already. */
  readonly item: DataItem | undefined
  readonly standing: Standing
  /** None for a repeat. */
  readonly step: Promise<Step> | undefined
  readonly bytes: number
}

/**
 * The messages of one Process on their way: checked, given to its worker while the ones before are still evaluated there,
 * and recorded one by one in their order.
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
  #count = 0
  #bytes = 0
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
    const { assigned: load, hosts, stopped, cutOff } = this.#deps
    const { scheduler } = this.#live.route.spec
    const judge = hosts && ((assignment: Assignment) => hosts.judge(assignment, scheduler))
    const checked = await checkScheduled(this.#process, row, { scheduler, judge, previous: this.#at, load })
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
    while (this.#count > 0 && this.#isFull(bytes)) {
      await new Promise<void>(resolve => {
        this.#moved = resolve
      })
    }
    this.#assertNoFailure()
  }

  #isFull(bytes: number): boolean {
    const { maxUnderWay, maxUnderWayBytes, maxUnderWayMs } = this.#options
    const tooLong = (this.#count + 1) * this.#live.messageMs > maxUnderWayMs
    return this.#count >= maxUnderWay || this.#bytes + bytes > maxUnderWayBytes || tooLong
  }

  #assertNoFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  #add(entry: UnderWay): void {
    this.#count++
    this.#bytes += entry.bytes
    entry.step?.catch(() => undefined) // heard when its turn comes
    this.#recording = this.#recording
      .then(() => this.#record(entry))
      .catch(error => {
        this.#failure ??= { error }
      })
      .then(() => {
        this.#count--
        this.#bytes -= entry.bytes
        this.#moved()
      })
  }

  async #record({ checked: { assignment }, checked, item, standing, step }: UnderWay): Promise<void> {
    const live = this.#live
    const { evaluation, ...after } = step === undefined ? this.#nothing(assignment, standing) : await step
    if (this.#failure !== undefined) return
    failpoint('cu-evaluated')
    const { nonce } = assignment
    if (after.applied !== live.applied + (step === undefined ? 0 : 1)) {
      // It went ahead of the record: a result could not be stored, or an answer was lost.
      throw new AoError('NOT_READY', 'the instance is not where it should be', { applied: after.applied, nonce })
    }
    const { stateRoot, stateNonce } = after
    const result = { ...evaluation, process: this.#process, nonce, stateRoot, stateNonce }
    const { module } = live.route.spec
    const names = { origin: standing.origin, isRepeat: standing.first !== undefined }
    await this.#deps.attestor.record({ result, assignment, module, previousStateRoot: live.root, names, message: item })
    this.#standings.stored(checked, standing)
    live.at = assignment
    live.cron = undefined
    if (nonce === 0) live.origin = assignment
    noteApplied(live, after)
    const { handledMs } = live.vm.usage
    if (step !== undefined) live.messageMs = handledMs - this.#handledMs
    this.#handledMs = handledMs
    failpoint('cu-applied')
    this.#deps.recorded(live, nonce)
  }

  /** The state stays as it is, whatever a repeat says. */
  #nothing(assignment: Assignment, { first }: Standing): Step {
    if (first === undefined) throw new TypeError('only a repeat is not evaluated')
    this.#deps.repeated(assignment, first)
    const { root: stateRoot, stateNonce, applied } = this.#live
    return { evaluation: repeatOf(first), stateRoot, stateNonce, applied }
  }
}

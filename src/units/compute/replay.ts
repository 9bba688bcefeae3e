import { type AbortOptions, raceSignal, throwIfAborted, withDeadline } from '../../lib/abort.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import { failpoint } from '../../lib/failpoint.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { Checkpoint } from '../../ports/checkpoint-store.ts'
import type { ResultStore } from '../../ports/result-store.ts'
import type { ScheduleClock } from '../../ports/units.ts'
import type { BootItem, VmMessage } from '../../ports/vm.ts'
import type { Assignment, ScheduledMessage } from '../../protocol/assignment.ts'
import { type Nonce, nextNonce, type ProcessId } from '../../protocol/ids.ts'
import { onBootItem } from '../../protocol/on-boot.ts'
import type { NetworkParams } from '../../protocol/params.ts'
import type { Evaluation } from '../../protocol/result.ts'
import type { SeenItem } from '../assigned-item.ts'
import { failureFacts } from '../failure.ts'
import type { Attestor } from './attest.ts'
import { type BlockTimes, runCronsBefore, runCronsUpTo } from './cron-run.ts'
import { evaluate, setupOf } from './evaluate.ts'
import { Goals } from './goals.ts'
import { checkpointOf, type Live, type LiveDeps, openLive, replayMs } from './live.ts'
import type { Modules } from './modules.ts'
import type { Room, Sleeper } from './room.ts'
import { type CheckedRow, checkScheduled } from './schedule-check.ts'

export interface ReplicaDeps extends LiveDeps {
  readonly results: ResultStore
  readonly modules: Modules
  readonly attestor: Attestor
  /** The item that an Assignment without a message names. */
  readonly assigned: (named: Pick<Assignment, 'message' | 'exclude'>) => Promise<SeenItem>
  readonly blockTimes: BlockTimes
  readonly params: NetworkParams
  readonly telemetry: Telemetry
  readonly room: Room
  /** Fires when the unit can wait no longer for messages that were begun. */
  readonly cutOff: AbortSignal
}
export interface ReplicaOptions {
  /** How often one catch-up opens an instance anew after it was evicted or its worker died. */
  readonly maxReopens: number
  /** A schedule that sends nothing for so long is given up, in milliseconds. */
  readonly readStallMs: number
  /** A checkpoint is due when a replay since the last one would take so long, in milliseconds. */
  readonly checkpointAfterMs: number
  /** A state that a replay makes again in less is not saved when its instance is closed. */
  readonly notWorthMs: number
}

interface ClockGoal {
  readonly clock: ScheduleClock
  readonly resolve: () => void
  readonly reject: (error: AoError) => void
}

/**
 * One Process on this CU: applies its schedule in order, from its newest checkpoint or from nonce 0, to whatever nonce is
 * asked for.
 *
 * Invariant: one catch-up at a time; a message is applied once to an instance and only after every check; a result is
 * shown only once recorded. An instance that is not where the record is, is thrown away and replayed.
 */
export class Replica implements Sleeper {
  readonly process: ProcessId
  readonly #deps: ReplicaDeps
  readonly #options: ReplicaOptions
  readonly #goals = new Goals()
  readonly #clocks: ClockGoal[] = []
  #live: Live | undefined
  #running: Promise<void> | undefined
  #dryRuns = 0
  #saving: Promise<unknown> | undefined
  #sleeping: Promise<void> | undefined
  /** Why nothing more can be said about this Process. */
  #broken: AoError | undefined
  #closed = false

  constructor(process: ProcessId, deps: ReplicaDeps, options: ReplicaOptions) {
    this.process = process
    this.#deps = deps
    this.#options = options
  }

  get idle(): boolean {
    return this.#running === undefined
  }

  get canSleep(): boolean {
    return this.#live !== undefined && this.idle && this.#dryRuns === 0 && this.#sleeping === undefined
  }

  get isEmpty(): boolean {
    return this.#live === undefined && this.idle && this.#dryRuns === 0 && this.#sleeping === undefined
  }

  get warmAt(): Nonce | undefined {
    return this.#live?.at?.nonce
  }

  /** Resolves when a live instance has applied that nonce. The signal ends the wait, not the work. */
  async reach(nonce: Nonce, { signal }: AbortOptions = {}): Promise<void> {
    throwIfAborted(signal)
    if (this.#broken !== undefined) throw this.#broken
    if (this.#closed) throw stopping(this.process)
    if (nonce <= (this.warmAt ?? -1)) return
    const reached = this.#goals.reached(nonce)
    this.#running ??= this.#run()
    return raceSignal(reached, { signal })
  }

  /** Resolves when the cron messages up to then are applied. The signal ends the wait, not the work. */
  async reachClock(clock: ScheduleClock, { signal }: AbortOptions = {}): Promise<void> {
    throwIfAborted(signal)
    if (this.#broken !== undefined) throw this.#broken
    if (this.#closed) throw stopping(this.process)
    const reached = new Promise<void>((resolve, reject) => this.#clocks.push({ clock, resolve, reject }))
    this.#running ??= this.#run()
    return raceSignal(reached, { signal })
  }

  /** As `reach`, then evaluates without keeping anything. */
  async dryRun(nonce: Nonce, messageAt: (last: Assignment) => VmMessage, options: AbortOptions): Promise<Evaluation> {
    this.#dryRuns++
    try {
      for (let attempt = 0; ; attempt++) {
        await this.reach(nonce, options)
        const live = this.#live
        try {
          if (live?.at === undefined) throw new AoError('NOT_READY', 'the instance was evicted')
          return await raceSignal(live.vm.dryRun(messageAt(live.at), options), options)
        } catch (error) {
          if (!hasCode(error, 'NOT_READY') || attempt >= this.#options.maxReopens) throw error
          if (this.#live === live && this.idle) await this.#drop()
        }
      }
    } finally {
      this.#dryRuns--
      this.#deps.room.idle(this)
    }
  }

  /** Saves the state and closes the instance. Whoever asks for it meanwhile waits, and then wakes it. */
  sleep(): Promise<void> {
    this.#sleeping ??= this.#putAway().finally(() => {
      this.#sleeping = undefined
    })
    return this.#sleeping
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#running
    await this.sleep()
  }

  async #run(): Promise<void> {
    await this.#sleeping
    let reopens = 0
    while (this.#goals.size > 0 || this.#clocks.length > 0) {
      try {
        if (this.#goals.size > 0) await this.#advance(Math.max(...this.#goals.all()) as Nonce)
        await this.#tick()
      } catch (failure) {
        const error = AoError.from(failure)
        if (hasCode(error, 'NOT_READY')) await this.#drop()
        if (hasCode(error, 'NOT_READY') && ++reopens <= this.#options.maxReopens) continue
        if (hasCode(error, 'STORE_CORRUPT', 'EQUIVOCATION')) this.#broken = error
        this.#deps.telemetry.log.warn('replay stopped', { process: this.process, ...failureFacts(failure) })
        for (const nonce of this.#goals.all()) this.#goals.fail(nonce, error)
        for (const { reject } of this.#clocks.splice(0)) reject(error)
      }
    }
    this.#running = undefined // same tick as the emptiness check
    this.#deps.room.idle(this)
  }

  async #advance(goal: Nonce): Promise<void> {
    const asked = this.#goals.all()
    const live = this.#live ?? (await this.#open())
    if (live.at !== undefined) this.#goals.reach(live.at.nonce) // a checkpoint may be all that was asked for
    if (goal <= (live.at?.nonce ?? -1)) return
    const scheduler = await this.#deps.routes.scheduler(this.process)
    const reading = new AbortController()
    const signal = AbortSignal.any([this.#deps.stopped, reading.signal])
    const rows = scheduler.read(this.process, { from: nextNonce(live.at?.nonce), to: goal }, { signal })
    try {
      for await (const row of unlessStalled(rows, this.#options.readStallMs, signal)) {
        failpoint('cu-row-read')
        await this.#apply(live, row)
        failpoint('cu-applied')
        this.#goals.reach(row.assignment.nonce)
        this.#saveIfDue(live)
      }
    } finally {
      reading.abort()
    }
    // What was asked for before the stream began and was not in it is not ordered. Later goals get a round of their own.
    for (const nonce of asked) this.#goals.fail(nonce, unknownNonce(this.process, nonce))
  }

  /** Applies the cron messages up to the latest clock that was asked for. */
  async #tick(): Promise<void> {
    const asked = [...this.#clocks]
    const latest = asked.reduce<ScheduleClock | undefined>(
      (newest, { clock }) => (newest !== undefined && newest.timestamp >= clock.timestamp ? newest : clock),
      undefined,
    )
    if (latest === undefined) return
    if ((this.warmAt ?? -1) < latest.nonce) await this.#advance(latest.nonce)
    const live = this.#live
    // With a message after it, what was asked for has been applied before that message.
    if (live?.at?.nonce === latest.nonce) await runCronsUpTo(latest, this.process, live, this.#deps)
    this.#clocks.splice(0, asked.length)
    for (const { resolve } of asked) resolve()
  }

  async #open(): Promise<Live> {
    const { routes, modules, pool, params, room, stopped } = this.#deps
    const route = await routes.process(this.process)
    const module = await modules.get(route.spec.module)
    const setup = setupOf(this.process, route, module, { pool, params })
    await room.take(this, stopped)
    try {
      const live = await openLive(this.#deps, { route, setup })
      failpoint('cu-opened')
      room.resize(this, live.vm.usage.residentBytes)
      this.#live = live
      return live
    } catch (error) {
      room.give(this)
      throw error
    }
  }

  async #apply(live: Live, row: ScheduledMessage): Promise<void> {
    const { scheduler, module } = live.route.spec
    const checked = await checkScheduled(this.process, row, { scheduler, previous: live.at, load: this.#deps.assigned })
    failpoint('cu-checked')
    await this.#assertFirstTime(checked)
    failpoint('cu-first-time')
    const { assignment } = checked
    await runCronsBefore(assignment, this.process, live, this.#deps)
    throwIfAborted(this.#deps.stopped)
    const boot = await this.#bootItem(live, assignment)
    const before = live.vm.usage.handledMs
    const { evaluation, stateRoot, stateNonce, applied } = await evaluate(live.vm, checked, {
      signal: this.#deps.cutOff,
      boot,
    })
    failpoint('cu-evaluated')
    if (applied !== live.applied + 1) {
      // It went ahead of the record: a result could not be stored, or an answer was lost.
      throw new AoError('NOT_READY', 'the instance is not where it should be', { applied, nonce: assignment.nonce })
    }
    const result = { ...evaluation, process: this.process, nonce: assignment.nonce, stateRoot, stateNonce }
    await this.#deps.attestor.record({ result, assignment, module, previousStateRoot: live.root })
    live.at = assignment
    if (assignment.nonce === 0) live.origin = assignment
    live.root = stateRoot
    live.applied = applied
    live.unsaved.messages++
    live.unsaved.ms += live.vm.usage.handledMs - before
    this.#deps.room.resize(this, live.vm.usage.residentBytes)
  }

  /** What the Process is to boot from, at nonce 0. @throws AoError as `assigned`: until it can be read, nothing is said. */
  async #bootItem({ route }: Live, { nonce }: Assignment): Promise<BootItem | undefined> {
    const id = nonce === 0 ? onBootItem(route.item.tags) : undefined
    return id && { id, data: (await this.#deps.assigned({ message: id, exclude: [] })).data }
  }

  /** Beside the evaluation: nothing waits for it. */
  #saveIfDue(live: Live): void {
    if (this.#saving !== undefined || live.cron !== undefined || replayMs(live) < this.#options.checkpointAfterMs)
      return
    this.#saving = this.#deps.checkpoints.trySave(() => this.#checkpoint(live))
    if (this.#saving === undefined) return // others are being saved: the next message asks again
    live.unsaved = { messages: 0, ms: 0 }
    void this.#saving.then(() => {
      this.#saving = undefined
    })
  }

  #checkpoint(live: Live): Promise<Checkpoint> {
    const { params, cutOff } = this.#deps
    return checkpointOf(live, { meter: params.meter, signal: cutOff })
  }

  async #putAway(): Promise<void> {
    const live = this.#live
    if (live === undefined) return
    this.#live = undefined // whoever comes now waits until this is over
    await this.#saving
    if (live.cron === undefined && replayMs(live) >= this.#options.notWorthMs) {
      await this.#deps.checkpoints.save(() => this.#checkpoint(live))
    }
    await this.#release(live)
  }

  /** A dishonest SU could make one message count twice by giving it two nonces. */
  async #assertFirstTime({ assignment: { message, nonce, scheduler } }: CheckedRow): Promise<void> {
    const first = await this.#deps.results.nonceOf(this.process, message)
    if (first === undefined || first >= nonce) return
    throw new AoError('INVALID_ASSIGNMENT', 'the schedule is broken: one message has two nonces', {
      process: this.process,
      message,
      first,
      nonce,
      scheduler,
    })
  }

  async #drop(): Promise<void> {
    const live = this.#live
    this.#live = undefined
    if (live !== undefined) await this.#release(live)
  }

  async #release(live: Live): Promise<void> {
    await live.vm.close().catch(() => undefined) // it is gone or going: nothing of it is used again
    this.#deps.room.give(this)
  }
}

const stopping = (process: ProcessId): AoError => new AoError('STOPPING', 'the Process is being closed', { process })

/** Passes rows on; a gap longer than `ms` ends it with `DEADLINE`, so a silent SU holds nobody for ever. */
async function* unlessStalled<T>(rows: AsyncIterable<T>, ms: number, signal: AbortSignal): AsyncIterable<T> {
  const iterator = rows[Symbol.asyncIterator]()
  for (;;) {
    const next = await raceSignal(iterator.next(), { signal: withDeadline(ms, { signal }) })
    if (next.done) return
    yield next.value
  }
}

const unknownNonce = (process: ProcessId, nonce: Nonce): AoError =>
  new AoError(
    'UNKNOWN_MESSAGE',
    'the schedule of this Process does not go that far',
    { process, nonce },
    { hint: 'Ask for a nonce that is ordered already, or again later.' },
  )

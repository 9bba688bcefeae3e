import { type AbortOptions, raceSignal, throwIfAborted, withDeadline } from '../../lib/abort.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { ResultStore } from '../../ports/result-store.ts'
import type { LiveProcess, VmMessage, VmPool } from '../../ports/vm.ts'
import type { Assignment, ScheduledMessage } from '../../protocol/assignment.ts'
import { type Id, idFromBytes, type Nonce, nextNonce, type ProcessId } from '../../protocol/ids.ts'
import type { NetworkParams } from '../../protocol/params.ts'
import type { Evaluation } from '../../protocol/result.ts'
import { failureFacts } from '../failure.ts'
import type { ProcessRoute, Routes } from '../routing/route.ts'
import type { Attestor } from './attest.ts'
import { evaluate, setupOf } from './evaluate.ts'
import type { Modules } from './modules.ts'
import { type CheckedRow, checkScheduled } from './schedule-check.ts'

export interface ReplicaDeps {
  readonly routes: Pick<Routes, 'process' | 'scheduler'>
  readonly results: ResultStore
  readonly pool: VmPool
  readonly modules: Modules
  readonly attestor: Attestor
  readonly params: NetworkParams
  readonly telemetry: Telemetry
  /** Fires when the unit stops. */
  readonly stopped: AbortSignal
}
export interface ReplicaOptions {
  /** How often one catch-up opens an instance anew after it was evicted or its worker died. */
  readonly maxReopens: number
  /** A schedule that sends nothing for so long is given up, in milliseconds. */
  readonly readStallMs: number
}

/** A live instance and where it stands. */
interface Live {
  readonly vm: LiveProcess
  readonly route: ProcessRoute
  /** The last Assignment applied. */
  at: Assignment | undefined
  root: Id
}
interface Goal {
  readonly reached: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** The state root before the first message. */
export const noState: Id = idFromBytes(new Uint8Array(32))

/**
 * One Process on this CU: applies its schedule in order from nonce 0 to whatever nonce is asked for.
 *
 * Invariant: one catch-up at a time; a message is applied once to an instance and only after every check; a result is
 * shown only once recorded. An instance that is not where the record is, is thrown away and replayed.
 */
export class Replica {
  readonly process: ProcessId
  readonly #deps: ReplicaDeps
  readonly #options: ReplicaOptions
  readonly #goals = new Map<Nonce, Goal>()
  #live: Live | undefined
  #running: Promise<void> | undefined
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

  /** The nonce applied last; undefined while no instance is warm. */
  get warmAt(): Nonce | undefined {
    return this.#live?.at?.nonce
  }

  /** Resolves when a live instance has applied that nonce. The signal ends the wait, not the work. */
  async reach(nonce: Nonce, { signal }: AbortOptions = {}): Promise<void> {
    throwIfAborted(signal)
    if (this.#broken !== undefined) throw this.#broken
    if (this.#closed) throw new AoError('NOT_READY', 'the Process made room for others', { process: this.process })
    if (nonce <= (this.warmAt ?? -1)) return
    const goal = this.#goals.get(nonce) ?? this.#aim(nonce)
    this.#running ??= this.#run()
    return raceSignal(goal.reached, { signal })
  }

  /** As `reach`, then evaluates without keeping anything. */
  async dryRun(nonce: Nonce, messageAt: (last: Assignment) => VmMessage, options: AbortOptions): Promise<Evaluation> {
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
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#running
    await this.#drop()
  }

  async #run(): Promise<void> {
    let reopens = 0
    while (this.#goals.size > 0) {
      try {
        await this.#advance(Math.max(...this.#goals.keys()) as Nonce)
      } catch (failure) {
        const error = AoError.from(failure)
        if (hasCode(error, 'NOT_READY')) await this.#drop()
        if (hasCode(error, 'NOT_READY') && ++reopens <= this.#options.maxReopens) continue
        if (hasCode(error, 'STORE_CORRUPT', 'EQUIVOCATION')) this.#broken = error
        this.#deps.telemetry.log.warn('replay stopped', { process: this.process, ...failureFacts(failure) })
        this.#giveUp(error)
      }
    }
    this.#running = undefined // same tick as the emptiness check
  }

  async #advance(goal: Nonce): Promise<void> {
    const asked = [...this.#goals.keys()]
    const live = this.#live ?? (await this.#open())
    const scheduler = await this.#deps.routes.scheduler(this.process)
    const reading = new AbortController()
    const signal = AbortSignal.any([this.#deps.stopped, reading.signal])
    const rows = scheduler.read(this.process, { from: nextNonce(live.at?.nonce), to: goal }, { signal })
    try {
      for await (const row of unlessStalled(rows, this.#options.readStallMs, signal)) {
        await this.#apply(live, row)
        this.#settleGoals(row.assignment.nonce)
      }
    } finally {
      reading.abort()
    }
    // What was asked for before the stream began and was not in it is not ordered. Later goals get a round of their own.
    for (const nonce of asked) this.#settle(nonce, unknownNonce(this.process, nonce))
  }

  async #open(): Promise<Live> {
    const { routes, modules, pool, params, stopped } = this.#deps
    const route = await routes.process(this.process)
    const module = await modules.get(route.spec.module)
    const vm = await pool.open(setupOf(this.process, route, module, { pool, params }), { signal: stopped })
    this.#live = { vm, route, at: undefined, root: noState }
    return this.#live
  }

  async #apply(live: Live, row: ScheduledMessage): Promise<void> {
    const { scheduler, module } = live.route.spec
    const checked = await checkScheduled(this.process, row, { scheduler, previous: live.at })
    await this.#assertFirstTime(checked)
    const { assignment } = checked
    const { evaluation, stateRoot, stateNonce, applied } = await evaluate(live.vm, checked, {
      signal: this.#deps.stopped,
    })
    if (applied !== assignment.nonce + 1) {
      // It went ahead of the record: a result could not be stored, or an answer was lost.
      throw new AoError('NOT_READY', 'the instance is not where it should be', { applied, nonce: assignment.nonce })
    }
    const result = { ...evaluation, process: this.process, nonce: assignment.nonce, stateRoot, stateNonce }
    await this.#deps.attestor.record({ result, assignment, module, previousStateRoot: live.root })
    live.at = assignment
    live.root = stateRoot
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
    await live?.vm.close().catch(() => undefined) // it is gone or going: nothing of it is used again
  }

  #aim(nonce: Nonce): Goal {
    let resolve: () => void = () => undefined
    let reject: (error: unknown) => void = () => undefined
    const reached = new Promise<void>((yes, no) => {
      resolve = yes
      reject = no
    })
    reached.catch(() => undefined) // whoever asked may have left
    const goal = { reached, resolve, reject }
    this.#goals.set(nonce, goal)
    return goal
  }

  #settleGoals(applied: Nonce): void {
    for (const nonce of this.#goals.keys()) if (nonce <= applied) this.#settle(nonce)
  }

  #giveUp(error: AoError): void {
    for (const nonce of this.#goals.keys()) this.#settle(nonce, error)
  }

  #settle(nonce: Nonce, error?: AoError): void {
    const goal = this.#goals.get(nonce)
    this.#goals.delete(nonce)
    if (error === undefined) goal?.resolve()
    else goal?.reject(error)
  }
}

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

import { type AbortOptions, raceSignal, throwIfAborted } from '../../lib/abort.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import { failpoint } from '../../lib/failpoint.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { Checkpoint } from '../../ports/checkpoint-store.ts'
import type { HostTable } from '../../ports/hosts.ts'
import type { ResultStore } from '../../ports/result-store.ts'
import type { ScheduleClock } from '../../ports/units.ts'
import type { VmImage, VmMessage } from '../../ports/vm.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { type Nonce, nextNonce, type ProcessId } from '../../protocol/ids.ts'
import type { NetworkParams } from '../../protocol/params.ts'
import type { Evaluation } from '../../protocol/result.ts'
import type { SeenItem } from '../assigned-item.ts'
import { failureFacts } from '../failure.ts'
import type { Attestor } from './attest.ts'
import { type BlockTimes, runCronsUpTo } from './cron-run.ts'
import { setupOf } from './evaluate.ts'
import { Flow, type FlowDeps, type FlowOptions } from './flow.ts'
import { Goals } from './goals.ts'
import { checkpointOf, type Live, type LiveDeps, noteSaved, openLive, replayMs } from './live.ts'
import type { Modules } from './modules.ts'
import { readAhead } from './read-ahead.ts'
import type { Room, Sleeper } from './room.ts'

export interface ReplicaDeps extends LiveDeps {
  readonly results: ResultStore
  readonly modules: Modules
  readonly attestor: Attestor
  /** The item that an Assignment without a message names. */
  readonly assigned: (named: Pick<Assignment, 'message' | 'exclude'>) => Promise<SeenItem>
  readonly blockTimes: BlockTimes
  readonly params: NetworkParams
  readonly hosts?: HostTable | undefined
  /** Whether the newest host of a Process has been followed: what it does not take over is forgotten. */
  readonly isFollowed: (process: ProcessId) => boolean
  readonly telemetry: Telemetry
  readonly room: Room
  /** Fires when the unit can wait no longer for messages that were begun. */
  readonly cutOff: AbortSignal
  /** Told when an instance that was at rest is gone with its worker. */
  readonly lost: (process: ProcessId) => void
}
export interface ReplicaOptions extends FlowOptions {
  /** How often one catch-up opens an instance anew after it was evicted or its worker died. */
  readonly maxReopens: number
  /** A schedule that sends nothing for so long is given up, in milliseconds. */
  readonly readStallMs: number
  /** Rows of a schedule that are read, and their signatures checked, before their turn comes. */
  readonly rowsAhead: number
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
  readonly #flowDeps: FlowDeps
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
    this.#flowDeps = {
      ...deps,
      applied: live => {
        if (this.#isSaveDue(live)) this.#save(live)
      },
      recorded: (live, at) => {
        this.#goals.reach(at)
        deps.room.resize(this, live.vm.usage.residentBytes)
      },
      repeated: ({ nonce, message, scheduler }, first) =>
        deps.telemetry.log.error('message repeated', { process, nonce, first, message, scheduler }),
    }
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

  /** Opens the instance again, as far as it was, if its worker was lost and nobody has noticed. */
  async revive(): Promise<void> {
    const live = this.#live
    if (live?.isLost !== true || live.at === undefined || !this.idle || this.#closed) return
    await this.#drop()
    return this.reach(live.at.nonce)
  }

  /** As `reach`, then evaluates without keeping anything. */
  dryRun(nonce: Nonce, messageAt: (last: Assignment) => VmMessage, options: AbortOptions): Promise<Evaluation> {
    return this.#look(nonce, options, (live, at) => live.vm.dryRun(messageAt(at), options))
  }

  /** As `reach`, then a copy of the state, and where it stands. */
  image(nonce: Nonce, options: AbortOptions): Promise<{ readonly image: VmImage; readonly live: Live }> {
    return this.#look(nonce, options, async live => {
      const place = { ...live }
      const image = await live.vm.snapshot(options)
      if (image.applied !== place.applied) throw new AoError('NOT_READY', 'messages are under way')
      return { image, live: place }
    })
  }

  /** Reaches the nonce, and asks the live instance something that changes nothing. */
  async #look<T>(nonce: Nonce, options: AbortOptions, ask: (live: Live, at: Assignment) => Promise<T>): Promise<T> {
    this.#dryRuns++
    try {
      for (let attempt = 0; ; attempt++) {
        await this.reach(nonce, options)
        const live = this.#live
        try {
          if (live?.at === undefined) throw new AoError('NOT_READY', 'the instance was evicted')
          return await raceSignal(ask(live, live.at), options)
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

  /** Forgets what was evaluated after a nonce: the schedule goes on otherwise from there. */
  rewind(to: Nonce): Promise<void> {
    const before = Promise.all([this.#sleeping, this.#running])
    const rewound = before.then(() => this.#forgetAfter(to))
    const settled = rewound
      .catch(() => undefined)
      .then(() => {
        if (this.#sleeping === settled) this.#sleeping = undefined
      })
    this.#sleeping = settled // whoever comes now waits until this is over
    return rewound
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
    if (!this.#deps.isFollowed(this.process)) throw hostChanged(this.process)
    const reading = new AbortController()
    const signal = AbortSignal.any([this.#deps.stopped, reading.signal])
    const rows = scheduler.read(this.process, { from: nextNonce(live.at?.nonce), to: goal }, { signal })
    const flow = new Flow(live, this.#flowDeps, this.#options)
    const { rowsAhead, readStallMs: stallMs } = this.#options
    try {
      for await (const row of readAhead(rows, { rowsAhead, stallMs, signal })) {
        failpoint('cu-row-read')
        await flow.take(row)
        if (!this.#isSaveDue(live)) continue
        await flow.drained() // what is saved is a state that is recorded
        this.#save(live)
      }
      await flow.drained()
      if (this.#isSaveDue(live)) this.#save(live)
    } finally {
      reading.abort()
      await flow.settled()
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
    if (live?.at?.nonce === latest.nonce) await runCronsUpTo(latest, this.process, live, this.#flowDeps)
    this.#clocks.splice(0, asked.length)
    for (const { resolve } of asked) resolve()
  }

  async #open(): Promise<Live> {
    const { routes, modules, pool, params, room, stopped } = this.#deps
    const route = await routes.process(this.process)
    const module = await modules.get(route.spec.module)
    const lost = (): void => this.#onLost()
    const setup = { ...setupOf(this.process, route, module, { pool, params }), lost }
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

  #isSaveDue(live: Live): boolean {
    return (
      this.#saving === undefined && replayMs(live) >= this.#options.checkpointAfterMs && this.#deps.checkpoints.hasRoom
    )
  }

  /** Beside the evaluation: nothing waits for it. */
  #save(live: Live): void {
    this.#saving = this.#deps.checkpoints.trySave(() => this.#checkpoint(live))
    if (this.#saving === undefined) return // others are being saved: the next message asks again
    noteSaved(live)
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
    if (replayMs(live) >= this.#options.notWorthMs) {
      await this.#deps.checkpoints.save(() => this.#checkpoint(live))
    }
    await this.#release(live)
  }

  #onLost(): void {
    if (this.#live === undefined) return
    this.#live.isLost = true
    if (this.idle) this.#deps.lost(this.process)
  }

  async #forgetAfter(nonce: Nonce): Promise<void> {
    if ((this.warmAt ?? -1) > nonce) await this.#drop()
    await this.#saving
    await this.#deps.checkpoints.removeAfter(this.process, nonce)
    await this.#deps.results.forgetAfter(this.process, nonce)
    this.#broken = undefined
    this.#deps.telemetry.log.warn('rewound', { process: this.process, to: nonce })
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

const hostChanged = (process: ProcessId): AoError =>
  new AoError('UNKNOWN_MESSAGE', 'the Process has just got another host', { process }, { hint: 'Ask again.' })

const unknownNonce = (process: ProcessId, nonce: Nonce): AoError =>
  new AoError(
    'UNKNOWN_MESSAGE',
    'the schedule of this Process does not go that far',
    { process, nonce },
    { hint: 'Ask for a nonce that is ordered already, or again later.' },
  )

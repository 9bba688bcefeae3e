import { type AbortOptions, raceSignal, throwIfAborted } from '../../lib/abort.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { ResultOptions, ScheduleClock } from '../../ports/units.ts'
import type { Nonce, ProcessId } from '../../protocol/ids.ts'
import { failureFacts } from '../failure.ts'
import { type CatchUpOptions, catchUp } from './catch-up.ts'
import { runCronsUpTo } from './cron-run.ts'
import type { FlowDeps } from './flow.ts'
import { ClockGoals, Goals } from './goals.ts'
import { Instance, type InstanceDeps } from './instance.ts'
import { learnNames } from './learn-names.ts'
import type { Ask } from './live.ts'
import type { Sleeper } from './room.ts'
import { Saves, type SavesOptions } from './saves.ts'

export interface ReplicaDeps
  extends InstanceDeps,
    Omit<FlowDeps, 'routes' | 'applied' | 'writing' | 'recorded' | 'repeated'> {
  /** Whether the newest host of a Process has been followed: what it does not take over is forgotten. */
  readonly isFollowed: (process: ProcessId) => boolean
  readonly telemetry: Telemetry
  /** Told when an instance that was at rest is gone with its worker. */
  readonly lost: (process: ProcessId) => void
}
export interface ReplicaOptions extends CatchUpOptions, SavesOptions {
  /** How often one catch-up opens an instance anew after it was evicted or its worker died. */
  readonly maxReopens: number
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
  readonly #clocks = new ClockGoals()
  readonly #saves: Saves
  readonly #instance: Instance
  #running: Promise<void> | undefined
  #looks = 0
  #sleeping: Promise<void> | undefined
  /** Why nothing more can be said about this Process. */
  #broken: AoError | undefined
  #closed = false

  constructor(process: ProcessId, deps: ReplicaDeps, options: ReplicaOptions) {
    this.process = process
    this.#deps = deps
    this.#options = options
    this.#saves = new Saves({ ...deps, meter: deps.params.meter }, options)
    this.#instance = new Instance(this, deps, {
      saves: this.#saves,
      lost: () => {
        if (this.idle) deps.lost(process)
      },
    })
    this.#flowDeps = {
      ...deps,
      applied: live => {
        if (this.#saves.isDue(live)) this.#saves.begin(live)
      },
      writing: at => this.#goals.write(at),
      recorded: (live, at) => {
        this.#goals.reach(at)
        deps.room.resize(this, live.vm.usage.residentBytes)
      },
      repeated: ({ nonce, message, scheduler }, first) =>
        deps.telemetry.log.error('message-repeated', { process, nonce, first, message, scheduler }),
    }
  }

  get idle(): boolean {
    return this.#running === undefined
  }

  get canSleep(): boolean {
    return this.#instance.live !== undefined && this.idle && this.#looks === 0 && this.#sleeping === undefined
  }

  get isEmpty(): boolean {
    return this.#instance.live === undefined && this.idle && this.#looks === 0 && this.#sleeping === undefined
  }

  get warmAt(): Nonce | undefined {
    return this.#instance.at
  }

  /**
   * Resolves when a live instance has applied that nonce, its Result being on disk, or with `unstored` on its way there.
   * The signal ends the wait, not the work.
   */
  async reach(nonce: Nonce, { signal, unstored = false }: ResultOptions = {}): Promise<void> {
    this.#assertOpen(signal)
    if (nonce <= (this.warmAt ?? -1)) return
    const reached = unstored ? this.#goals.writing(nonce) : this.#goals.reached(nonce)
    this.#running ??= this.#run()
    return raceSignal(reached, { signal })
  }

  /** Resolves when the cron messages up to then are applied. The signal ends the wait, not the work. */
  async reachClock(clock: ScheduleClock, { signal }: AbortOptions = {}): Promise<void> {
    this.#assertOpen(signal)
    const reached = this.#clocks.reached(clock)
    this.#running ??= this.#run()
    return raceSignal(reached, { signal })
  }

  /** Opens the instance again, as far as it was, if its worker was lost and nobody has noticed. */
  async revive(): Promise<void> {
    const { live } = this.#instance
    if (live?.isLost !== true || live.at === undefined || !this.idle || this.#closed) return
    await this.#instance.drop()
    return this.reach(live.at.nonce)
  }

  /** As `reach`, then asks the live instance something that changes nothing. */
  async look<T>(nonce: Nonce, options: AbortOptions, ask: Ask<T>): Promise<T> {
    this.#looks++
    try {
      for (let attempt = 0; ; attempt++) {
        await this.reach(nonce, options)
        const { live } = this.#instance
        try {
          if (live?.at === undefined) throw new AoError('NOT_READY', 'the instance was evicted')
          return await raceSignal(ask(live, live.at), options)
        } catch (error) {
          if (!hasCode(error, 'NOT_READY') || attempt >= this.#options.maxReopens) throw error
          if (this.#instance.live === live && this.idle) await this.#instance.drop()
        }
      }
    } finally {
      this.#looks--
      this.#deps.room.idle(this)
    }
  }

  /** Saves the state and closes the instance. Whoever asks for it meanwhile waits, and then wakes it. */
  sleep(): Promise<void> {
    this.#sleeping ??= this.#instance.putAway().finally(() => {
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

  #assertOpen(signal: AbortSignal | undefined): void {
    throwIfAborted(signal)
    if (this.#broken !== undefined) throw this.#broken
    if (this.#closed) throw stopping(this.process)
  }

  async #run(): Promise<void> {
    await this.#sleeping
    let reopens = 0
    while (this.#goals.size > 0 || this.#clocks.size > 0) {
      try {
        if (this.#goals.size > 0) await this.#advance(Math.max(...this.#goals.all()) as Nonce)
        await this.#clocks.meet(latest => this.#tick(latest))
      } catch (failure) {
        const error = AoError.from(failure)
        if (hasCode(error, 'NOT_READY')) await this.#instance.drop()
        if (hasCode(error, 'NOT_READY') && ++reopens <= this.#options.maxReopens) continue
        if (hasCode(error, 'STORE_CORRUPT', 'EQUIVOCATION')) this.#broken = error
        this.#deps.telemetry.log.warn('replay-stopped', { process: this.process, ...failureFacts(failure) })
        for (const nonce of this.#goals.all()) this.#goals.fail(nonce, error)
        this.#clocks.fail(error)
      }
    }
    this.#running = undefined // same tick as the emptiness check
    if (this.#instance.live?.isLost === true) this.#deps.lost(this.process)
    this.#deps.room.idle(this)
  }

  async #advance(goal: Nonce): Promise<void> {
    let asked: readonly Nonce[] = []
    const live = await this.#instance.open()
    if (live.at !== undefined) this.#goals.reach(live.at.nonce) // a checkpoint may be all that was asked for
    if (goal <= (live.at?.nonce ?? -1)) return
    const scheduler = await this.#deps.routes.scheduler(this.process)
    if (!this.#deps.isFollowed(this.process)) throw hostChanged(this.process)
    if (live.at !== undefined && !live.knowsNames) {
      await learnNames({ route: live.route, at: live.at }, scheduler, this.#deps, this.#options)
    }
    live.knowsNames = true
    const to = (): Nonce => {
      asked = this.#goals.all()
      return Math.max(goal, ...asked) as Nonce
    }
    let reads = 0
    const beyond = (nonce: Nonce): Promise<void> =>
      this.#clocks.size === 0 && ++reads < maxReads ? this.#goals.beyond(nonce) : new Promise(() => undefined)
    await catchUp(live, { scheduler, to, beyond, saves: this.#saves }, this.#flowDeps, this.#options)
    // What was asked for before the last of it was read and is not in it is not ordered. Later goals get a run of their own.
    for (const nonce of asked) this.#goals.fail(nonce, unknownNonce(this.process, nonce))
  }

  /** Applies the cron messages up to then. */
  async #tick(clock: ScheduleClock): Promise<void> {
    if ((this.warmAt ?? -1) < clock.nonce) await this.#advance(clock.nonce)
    const { live } = this.#instance
    // With a message after it, what was asked for has been applied before that message.
    if (live?.at?.nonce === clock.nonce) await runCronsUpTo(clock, this.process, live, this.#flowDeps)
  }

  async #forgetAfter(nonce: Nonce): Promise<void> {
    if ((this.warmAt ?? -1) > nonce) await this.#instance.drop()
    await this.#saves.ended()
    await this.#deps.checkpoints.removeAfter(this.process, nonce)
    await this.#deps.results.forgetAfter(this.process, nonce)
    this.#broken = undefined
    this.#deps.telemetry.log.warn('rewound', { process: this.process, to: nonce })
  }
}

/** Goals that come meanwhile are gone on to so often before whoever else waits for the Process has a turn. */
const maxReads = 64

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

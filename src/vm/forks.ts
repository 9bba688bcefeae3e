import { type AbortOptions, raceSignal, throwIfAborted } from '../lib/abort.ts'
import { AoError, hasCode } from '../lib/errors.ts'
import type { Counter, Metrics } from '../lib/telemetry.ts'
import type { VmImage, VmMessage } from '../ports/vm.ts'
import type { Evaluation } from '../protocol/result.ts'
import { Fork, type ForkSource } from './fork.ts'
import type { Missed } from './journal.ts'

export interface ForkLimits {
  /** Copies at once, of all Processes. */
  readonly maxForks: number
  /** Memory that they may keep resident, by estimate, in bytes. A single larger one is let in alone. */
  readonly maxForkBytes: number
  /** Copies of one Process. */
  readonly maxForksEach: number
  /** Copies in the slow lane at once; a dry-run that belongs there is refused when there are as many. */
  readonly maxSlow: number
  /** Dry-runs that wait for a copy before more are refused. */
  readonly maxWaiting: number
}

interface Job {
  /** The state must not be older. */
  readonly wanted: number
  readonly message: VmMessage
  attempts: number
  readonly resolve: (evaluation: Evaluation) => void
  readonly reject: (error: unknown) => void
}

interface Waiting {
  readonly jobs: Job[]
  readonly forks: Set<Fork>
}

/** So often a dry-run begins anew after its copy was lost with its thread. */
const maxAttempts = 3

/**
 * Copies of live instances on threads of their own: dry-runs of one Process run side by side there, and neither they nor
 * one of them that spins holds up the live one for longer than it takes to copy its state.
 *
 * Invariant: a copy evaluates one dry-run at a time, on a state that is not older than the live one's was when it was
 * asked for. Copies are kept, and brought up to date when they are next needed; the one at rest for longest makes room.
 */
export class Forks {
  readonly #limits: ForkLimits
  readonly #opened: Counter
  /** By who waits, longest first. */
  readonly #sources = new Map<ForkSource, Waiting>()
  /** At rest, the one used longest ago first. */
  readonly #idle = new Map<Fork, ForkSource>()
  /** What they evaluate overran its slice: it goes on in the slow lane, and they are closed after it. */
  readonly #slow = new Set<Fork>()
  #waiting = 0
  #count = 0
  #bytes = 0

  constructor(metrics: Metrics, limits: ForkLimits) {
    this.#limits = limits
    this.#opened = metrics.counter('aonet_vm_forks_opened_total', 'Copies of live instances made for dry-runs')
    metrics.gauge('aonet_vm_forks', 'Copies of live instances kept for dry-runs', () => this.#count)
    metrics.gauge('aonet_vm_fork_bytes', 'Memory of those copies, by estimate', () => this.#bytes)
    metrics.gauge('aonet_vm_dry_runs_waiting', 'Dry-runs that wait for a copy', () => this.#waiting)
  }

  /**
   * @throws AoError `OVERLOADED` if too many wait, or the threads are lost again and again; `NOT_READY` as
   * `LiveProcess.snapshot`; `DEADLINE` if this one outlasts the wall clock.
   */
  async dryRun(source: ForkSource, message: VmMessage, { signal }: AbortOptions = {}): Promise<Evaluation> {
    throwIfAborted(signal)
    if (this.#waiting >= this.#limits.maxWaiting) throw full(this.#waiting)
    const { jobs } = this.#of(source)
    let job: Job | undefined
    const answer = new Promise<Evaluation>((resolve, reject) => {
      job = { wanted: source.live.applied, message, attempts: 0, resolve, reject }
      jobs.push(job)
      this.#waiting++
    })
    this.#pump()
    return raceSignal(answer, { signal }).finally(() => {
      const at = jobs.indexOf(job as Job)
      if (at >= 0) this.#take(jobs, at)
    })
  }

  /** Whether there are copies of it, or somebody waits for one. */
  has(source: ForkSource): boolean {
    return this.#sources.has(source)
  }

  /** Ends what is of that instance: those that wait get `NOT_READY`. */
  forget(source: ForkSource): void {
    const waiting = this.#sources.get(source)
    if (waiting === undefined) return
    this.#sources.delete(source)
    while (waiting.jobs.length > 0) this.#take(waiting.jobs).reject(closed())
    for (const fork of waiting.forks) if (this.#idle.delete(fork)) this.#close(fork, waiting)
    this.#pump()
  }

  #of(source: ForkSource): Waiting {
    const known = this.#sources.get(source)
    if (known !== undefined) return known
    const waiting: Waiting = { jobs: [], forks: new Set() }
    this.#sources.set(source, waiting)
    return waiting
  }

  #take(jobs: Job[], at = 0): Job {
    this.#waiting--
    return jobs.splice(at, 1)[0] as Job
  }

  /** Gives copies to those that wait, one each and again in turns. */
  #pump(): void {
    for (let served = true; served; ) {
      served = false
      for (const [source, waiting] of [...this.#sources]) {
        const fork = waiting.jobs.length > 0 ? this.#forkFor(source, waiting) : undefined
        if (fork === undefined) continue
        this.#sources.delete(source)
        this.#sources.set(source, waiting)
        served = true
        void this.#serve(source, waiting, fork, this.#take(waiting.jobs))
      }
    }
  }

  #forkFor(source: ForkSource, { forks }: Waiting): Fork | undefined {
    const resting = [...forks].filter(fork => this.#idle.has(fork))
    const [freshest] = resting.sort((a, b) => b.at - a.at)
    if (freshest !== undefined) {
      this.#idle.delete(freshest)
      return freshest
    }
    const places = new Set([...forks].filter(fork => !this.#slow.has(fork)).map(({ place }) => place))
    if (places.size >= this.#limits.maxForksEach || !this.#makeRoom(source.live.usage.residentBytes)) return undefined
    let place = 0
    while (places.has(place)) place++
    const fork = new Fork(source, place, leaving => this.#mayLeave(leaving))
    this.#opened.add()
    forks.add(fork)
    this.#count++
    this.#resize(fork, source.live.usage.residentBytes)
    return fork
  }

  #makeRoom(bytes: number): boolean {
    const { maxForks, maxForkBytes } = this.#limits
    while (this.#count > 0 && (this.#count >= maxForks || this.#bytes + bytes > maxForkBytes)) {
      const [[fork, source] = []] = this.#idle
      const waiting = source && this.#sources.get(source)
      if (fork === undefined || waiting === undefined) return false
      this.#idle.delete(fork)
      this.#close(fork, waiting)
    }
    return true
  }

  async #serve(source: ForkSource, waiting: Waiting, fork: Fork, job: Job): Promise<void> {
    let isSound = false
    try {
      const missing = await fork.missing(job.wanted)
      isSound = await this.#evaluate(source, fork, job, missing)
    } catch (error) {
      job.reject(error) // there is no live instance any more
    }
    this.#resize(fork, fork.residentBytes)
    if (isSound && this.#sources.get(source) === waiting) this.#idle.set(fork, source)
    else this.#close(fork, waiting)
    this.#pump()
  }

  /** Resolves with whether the copy can be used again. */
  async #evaluate(source: ForkSource, fork: Fork, job: Job, missing: VmImage | Missed | undefined): Promise<boolean> {
    try {
      job.resolve(await fork.dryRun(job.message, missing))
      return !this.#slow.has(fork)
    } catch (error) {
      if (hasCode(error, 'NOT_READY')) this.#again(source, job, error)
      else job.reject(error)
      return false
    }
  }

  /** To the slow lane: its place in the quick one is free then. */
  #mayLeave(fork: Fork): boolean {
    if (this.#slow.size >= this.#limits.maxSlow) return false
    this.#slow.add(fork)
    this.#pump()
    return true
  }

  /** Its copy was lost with the thread. */
  #again(source: ForkSource, job: Job, error: unknown): void {
    const waiting = this.#sources.get(source)
    if (waiting === undefined) job.reject(closed())
    else if (++job.attempts >= maxAttempts) job.reject(lostAgain(error))
    else {
      waiting.jobs.unshift(job)
      this.#waiting++
    }
  }

  #resize(fork: Fork, bytes: number): void {
    this.#bytes += bytes - fork.size
    fork.size = bytes
  }

  #close(fork: Fork, { forks }: Waiting): void {
    forks.delete(fork)
    this.#slow.delete(fork)
    this.#count--
    this.#resize(fork, 0)
    void fork.close()
  }
}

const full = (waiting: number): AoError =>
  new AoError('OVERLOADED', 'too many dry-runs wait here', { waiting }, { hint: 'Ask again in a moment.' })
const lostAgain = (cause: unknown): AoError =>
  new AoError(
    'OVERLOADED',
    'the thread of this dry-run was lost several times',
    {},
    { cause, hint: 'Ask again later.' },
  )
const closed = (): AoError => new AoError('NOT_READY', 'the live instance of the Process is closed')

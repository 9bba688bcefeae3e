import type { AbortOptions } from '../../lib/abort.ts'
import type { Component } from '../../lib/component.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { AssignRequest, NonceRange, ProcessLookup, ScheduleClock, Scheduler } from '../../ports/units.ts'
import type { Assignment, ScheduledMessage } from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { MessageId, Nonce, ProcessId } from '../../protocol/ids.ts'
import { Bell } from '../bell.ts'
import { failureFacts } from '../failure.ts'
import type { Routes } from './route.ts'

export interface FollowedSchedulesDeps {
  readonly telemetry: Telemetry
  /** Told of each Assignment as it comes; its signature is checked, that it follows the one before is not. */
  readonly onAssignment: (assignment: Assignment) => void
}
export interface FollowedSchedulesOptions {
  /** Schedules followed at once; beyond it the one unread for longest is given up. */
  readonly maxFollowed: number
  /** A schedule that nobody reads for so long is followed no more, in milliseconds. */
  readonly idleMs: number
  /** Rows, and their bytes, that may wait for their reader. */
  readonly maxRows: number
  readonly maxBytes: number
  /** How long a row may be on its way before it is asked for, in milliseconds. */
  readonly patienceMs: number
}
export const defaultFollowedSchedulesOptions: FollowedSchedulesOptions = {
  maxFollowed: 256,
  idleMs: 30_000,
  maxRows: 64,
  maxBytes: 1024 * 1024,
  patienceMs: 50,
}

type Lookups = Pick<Routes, 'process' | 'scheduler'>

/**
 * Keeps one stream open to the SU of each Process whose schedule is read again and again: what is ordered arrives by
 * itself, and no call is made for it. Whatever does not come that way is asked for as usual.
 */
export class FollowedSchedules implements Component {
  readonly name = 'followed-schedules'
  readonly #deps: FollowedSchedulesDeps
  readonly #options: FollowedSchedulesOptions
  /** Least recently read first. */
  readonly #followed = new Map<ProcessId, Followed>()
  /** Where the last read of a Process ended. */
  readonly #ends = new Map<ProcessId, number>()
  #stopped = true

  constructor(deps: FollowedSchedulesDeps, options: FollowedSchedulesOptions = defaultFollowedSchedulesOptions) {
    this.#deps = deps
    this.#options = options
    deps.telemetry.metrics.gauge(
      'aonet_compute_followed_schedules',
      'Schedules of other SUs that are followed',
      () => this.#followed.size,
    )
  }

  async start(): Promise<void> {
    this.#stopped = false
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const process of [...this.#followed.keys()]) this.#leave(process)
    this.#ends.clear()
  }

  /** The same routes; only a Scheduler in this program is read as it is. */
  over(routes: Lookups, local: Scheduler | undefined): Lookups {
    return {
      process: (...asked) => routes.process(...asked),
      scheduler: async (...asked) => {
        const scheduler = await routes.scheduler(...asked)
        return scheduler === local ? scheduler : this.through(scheduler)
      },
    }
  }

  /** The same Scheduler, whose ranges are read from what was followed where that is possible. */
  through(scheduler: Scheduler): Scheduler {
    return new Following(scheduler, (process, range, options = {}) => this.#read(scheduler, process, range, options))
  }

  async *#read(
    scheduler: Scheduler,
    process: ProcessId,
    range: NonceRange,
    options: AbortOptions,
  ): AsyncIterable<ScheduledMessage> {
    const { from, to } = range
    if (to === undefined || range.follow === true) return yield* scheduler.read(process, range, options)
    let next: number = from
    const followed = this.#followed.get(process)
    if (followed?.claim() === true) {
      try {
        this.#touch(process, followed)
        for (; next <= to; next++) {
          const row = await followed.take(next, options)
          if (row === undefined) break
          yield row
        }
      } finally {
        followed.release()
      }
      if (next > to) return
      this.#leave(process) // it stands elsewhere, or still: followed anew only after two more reads
      this.#ends.delete(process)
    }
    for await (const row of scheduler.read(process, { from: next as Nonce, to }, options)) {
      yield row
      next = row.assignment.nonce + 1
    }
    if (next > to) this.#readTo(scheduler, process, { from, to })
  }

  /** Whoever goes on where the last read ended is likely to do so again. */
  #readTo(scheduler: Scheduler, process: ProcessId, { from, to }: { from: number; to: number }): void {
    const goesOn = this.#ends.get(process) === from
    this.#ends.delete(process)
    this.#ends.set(process, to + 1)
    if (this.#ends.size > 4 * this.#options.maxFollowed) this.#ends.delete(firstOf(this.#ends))
    if (!goesOn || this.#stopped || this.#followed.has(process)) return
    if (this.#followed.size >= this.#options.maxFollowed) this.#leave(firstOf(this.#followed))
    const onEnd = (error: unknown): void => {
      if (error !== undefined) {
        this.#deps.telemetry.log.debug('schedule-not-followed', { process, ...failureFacts(error) })
      }
      if (this.#followed.get(process) === followed) this.#leave(process)
    }
    const followed = new Followed({ ...this.#deps, scheduler, process, onEnd }, to + 1, this.#options)
    this.#touch(process, followed)
  }

  #touch(process: ProcessId, followed: Followed): void {
    this.#followed.delete(process)
    this.#followed.set(process, followed)
    clearTimeout(followed.idle)
    followed.idle = setTimeout(() => this.#leave(process), this.#options.idleMs)
    followed.idle.unref()
  }

  #leave(process: ProcessId): void {
    const followed = this.#followed.get(process)
    this.#followed.delete(process)
    clearTimeout(followed?.idle)
    followed?.leave()
  }
}

interface FollowedDeps extends FollowedSchedulesDeps {
  readonly scheduler: Scheduler
  readonly process: ProcessId
  readonly onEnd: (error: unknown) => void
}

/** One stream, and the rows that came and wait for their reader. */
class Followed {
  idle: NodeJS.Timeout | undefined
  readonly #deps: FollowedDeps
  readonly #options: FollowedSchedulesOptions
  readonly #end = new AbortController()
  readonly #come = new Bell()
  readonly #taken = new Bell()
  #rows: ScheduledMessage[] = []
  #bytes = 0
  #claimed = false

  constructor(deps: FollowedDeps, from: number, options: FollowedSchedulesOptions) {
    this.#deps = deps
    this.#options = options
    this.#pump(from).then(
      () => this.#over(undefined),
      error => this.#over(this.#end.signal.aborted ? undefined : error),
    )
  }

  /** One reader at a time; another asks as usual. */
  claim(): boolean {
    if (this.#claimed) return false
    this.#claimed = true
    return true
  }

  release(): void {
    this.#claimed = false
  }

  /** The row of that nonce, if it is here or comes within the time that a row may be on its way. */
  async take(nonce: number, options: AbortOptions): Promise<ScheduledMessage | undefined> {
    const until = performance.now() + this.#options.patienceMs
    for (;;) {
      let first = this.#rows[0]
      while (first !== undefined && first.assignment.nonce < nonce) {
        this.#drop()
        first = this.#rows[0]
      }
      if (first?.assignment.nonce === nonce) {
        this.#drop()
        return first
      }
      const left = until - performance.now()
      if (first !== undefined || left <= 0 || this.#end.signal.aborted) return undefined
      await this.#come.wait({ ...options, timeoutMs: left })
    }
  }

  leave(): void {
    this.#end.abort()
    this.#come.ring()
  }

  #drop(): void {
    const row = this.#rows.shift()
    if (row !== undefined) this.#bytes -= sizeOf(row)
    this.#taken.ring()
  }

  async #pump(from: number): Promise<void> {
    const { scheduler, process, onAssignment } = this.#deps
    const { maxRows, maxBytes } = this.#options
    const { signal } = this.#end
    for await (const row of scheduler.read(process, { from: from as Nonce, follow: true }, { signal })) {
      this.#rows.push(row)
      this.#bytes += sizeOf(row)
      this.#come.ring()
      onAssignment(row.assignment)
      // Not read on, so the SU's stream stands still too.
      while (this.#rows.length >= maxRows || this.#bytes >= maxBytes) await this.#taken.wait({ signal })
    }
  }

  #over(error: unknown): void {
    this.leave()
    this.#deps.onEnd(error)
  }
}

const sizeOf = ({ assignment, message }: ScheduledMessage): number => assignment.raw.length + (message?.raw.length ?? 0)

const firstOf = (map: ReadonlyMap<ProcessId, unknown>): ProcessId => map.keys().next().value as ProcessId

/** A Scheduler with another way of reading. */
class Following implements Scheduler {
  readonly #scheduler: Scheduler
  readonly #read: (process: ProcessId, range: NonceRange, options: AbortOptions) => AsyncIterable<ScheduledMessage>

  constructor(scheduler: Scheduler, read: Following['read']) {
    this.#scheduler = scheduler
    this.#read = read
  }

  read(process: ProcessId, range: NonceRange, options: AbortOptions = {}): AsyncIterable<ScheduledMessage> {
    return this.#read(process, range, options)
  }

  schedule(message: DataItem, options?: AbortOptions): Promise<Assignment> {
    return this.#scheduler.schedule(message, options)
  }

  assign(request: AssignRequest, options?: AbortOptions): Promise<Assignment> {
    return this.#scheduler.assign(request, options)
  }

  clock(process: ProcessId, options?: AbortOptions): Promise<ScheduleClock> {
    return this.#scheduler.clock(process, options)
  }

  assignment(process: ProcessId, at: MessageId | Nonce | 'newest', options?: AbortOptions): Promise<Assignment> {
    return this.#scheduler.assignment(process, at, options)
  }

  process(process: ProcessId, options?: ProcessLookup): Promise<DataItem> {
    return this.#scheduler.process(process, options)
  }
}

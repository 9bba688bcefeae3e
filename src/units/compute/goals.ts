import type { AoError } from '../../lib/errors.ts'
import type { ScheduleClock } from '../../ports/units.ts'
import type { Nonce } from '../../protocol/ids.ts'

/** What somebody waits for. */
interface Wait {
  readonly over: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface Goal {
  /** Over with `reached`, or before, when the Result is on its way to the disk. */
  readonly writing: Wait
  readonly reached: Wait
}

/** Nonces that somebody waits for. */
export class Goals {
  readonly #goals = new Map<Nonce, Goal>()

  /** Told when something beyond a nonce is waited for. */
  #grown: { readonly beyond: Nonce; readonly resolve: () => void } | undefined

  get size(): number {
    return this.#goals.size
  }

  /** Resolves when something beyond that nonce is waited for. One may ask at a time: whoever asked before never hears. */
  beyond(nonce: Nonce): Promise<void> {
    return new Promise(resolve => {
      this.#grown = { beyond: nonce, resolve }
      for (const goal of this.#goals.keys()) this.#tellGrown(goal)
    })
  }

  all(): readonly Nonce[] {
    return [...this.#goals.keys()]
  }

  /** Settles as the goal does; callers of one nonce share it. */
  reached(nonce: Nonce): Promise<void> {
    return (this.#goals.get(nonce) ?? this.#add(nonce)).reached.over
  }

  /** As `reached`, or when it is on its way to the disk. */
  writing(nonce: Nonce): Promise<void> {
    return (this.#goals.get(nonce) ?? this.#add(nonce)).writing.over
  }

  /** That nonce and all before it are on their way to the disk. */
  write(applied: Nonce): void {
    for (const [nonce, { writing }] of this.#goals) if (nonce <= applied) writing.resolve()
  }

  /** That nonce and all before it are reached. */
  reach(applied: Nonce): void {
    for (const nonce of this.#goals.keys()) {
      if (nonce > applied) continue
      const goal = this.#take(nonce)
      goal?.writing.resolve()
      goal?.reached.resolve()
    }
  }

  fail(nonce: Nonce, error: unknown): void {
    const goal = this.#take(nonce)
    goal?.writing.reject(error)
    goal?.reached.reject(error)
  }

  #add(nonce: Nonce): Goal {
    const goal: Goal = { writing: newWait(), reached: newWait() }
    this.#goals.set(nonce, goal)
    this.#tellGrown(nonce)
    return goal
  }

  #tellGrown(nonce: Nonce): void {
    if (this.#grown === undefined || nonce <= this.#grown.beyond) return
    this.#grown.resolve()
    this.#grown = undefined
  }

  #take(nonce: Nonce): Goal | undefined {
    const goal = this.#goals.get(nonce)
    this.#goals.delete(nonce)
    return goal
  }
}

function newWait(): Wait {
  let resolve: () => void = () => undefined
  let reject: (error: unknown) => void = () => undefined
  const over = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  over.catch(() => undefined) // whoever asked may have left
  return { over, resolve, reject }
}

interface ClockGoal {
  readonly clock: ScheduleClock
  readonly resolve: () => void
  readonly reject: (error: AoError) => void
}

/** Times, as the scheduler promises them, up to which somebody wants the cron messages. */
export class ClockGoals {
  #goals: ClockGoal[] = []

  get size(): number {
    return this.#goals.length
  }

  reached(clock: ScheduleClock): Promise<void> {
    return new Promise((resolve, reject) => this.#goals.push({ clock, resolve, reject }))
  }

  /** Goes as far as the latest of them, and settles those that were there when it began. */
  async meet(goTo: (latest: ScheduleClock) => Promise<void>): Promise<void> {
    const asked = [...this.#goals]
    const [first, ...others] = asked.map(({ clock }) => clock)
    if (first === undefined) return
    await goTo(others.reduce((newest, clock) => (newest.timestamp >= clock.timestamp ? newest : clock), first))
    this.#goals = this.#goals.slice(asked.length)
    for (const { resolve } of asked) resolve()
  }

  fail(error: AoError): void {
    const asked = this.#goals
    this.#goals = []
    for (const { reject } of asked) reject(error)
  }
}

import type { Nonce } from '../../protocol/ids.ts'

interface Goal {
  readonly reached: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** Nonces that somebody waits for. */
export class Goals {
  readonly #goals = new Map<Nonce, Goal>()

  get size(): number {
    return this.#goals.size
  }

  all(): readonly Nonce[] {
    return [...this.#goals.keys()]
  }

  /** Settles as the goal does; callers of one nonce share it. */
  reached(nonce: Nonce): Promise<void> {
    return (this.#goals.get(nonce) ?? this.#add(nonce)).reached
  }

  /** That nonce and all before it are reached. */
  reach(applied: Nonce): void {
    for (const nonce of this.#goals.keys()) if (nonce <= applied) this.#take(nonce)?.resolve()
  }

  fail(nonce: Nonce, error: unknown): void {
    this.#take(nonce)?.reject(error)
  }

  #add(nonce: Nonce): Goal {
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

  #take(nonce: Nonce): Goal | undefined {
    const goal = this.#goals.get(nonce)
    this.#goals.delete(nonce)
    return goal
  }
}

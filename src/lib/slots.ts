/** A number of places; whoever finds none free waits, first come first served. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  get waiting(): number {
    return this.#waiting.length
  }

  get hasFree(): boolean {
    return this.#free > 0
  }

  /** Runs `work` in a place that is free now; undefined, and `work` is not called, if there is none. */
  tryRun<T>(work: () => Promise<T>): Promise<T> | undefined {
    if (this.#free === 0) return undefined
    this.#free--
    return work().finally(() => this.#leave())
  }

  /** Runs `work` as soon as there is a place. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>(resolve => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      this.#leave()
    }
  }

  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free++
    else next()
  }
}

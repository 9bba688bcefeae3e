import type { AbortOptions } from './abort.ts'

/** Anything with a life. Both calls are idempotent; `stop` resolves when nothing is in flight. */
export interface Component {
  readonly name: string
  start(options?: AbortOptions): Promise<void>
  stop(): Promise<void>
}

/**
 * Starts a flat list in order and stops it in reverse.
 *
 * Invariant: a failed start has already stopped what it started, so there is no half-alive state.
 */
export class ComponentList implements Component {
  readonly name: string
  readonly #parts: readonly Component[]
  #started: Component[] = []

  constructor(name: string, parts: readonly Component[]) {
    this.name = name
    this.#parts = parts
  }

  async start(options: AbortOptions = {}): Promise<void> {
    if (this.#started.length > 0) return
    try {
      for (const part of this.#parts) {
        options.signal?.throwIfAborted()
        await part.start(options)
        this.#started.push(part)
      }
    } catch (error) {
      await this.stop().catch(() => undefined) // the first failure is the one to tell
      throw error
    }
  }

  /** @throws the first failure, after every part has been asked to stop. */
  async stop(): Promise<void> {
    const parts = this.#started.reverse()
    this.#started = []
    const failures: unknown[] = []
    for (const part of parts) {
      try {
        await part.stop()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}

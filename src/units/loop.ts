import type { AbortOptions } from '../lib/abort.ts'
import type { Component } from '../lib/component.ts'
import type { Logger } from '../lib/telemetry.ts'
import { Bell } from './bell.ts'
import { failureFacts } from './failure.ts'

export interface LoopOptions {
  readonly name: string
  /** Milliseconds to pause after a step that failed. */
  readonly failurePauseMs: number
}

/**
 * Runs a step again and again. The step says how many milliseconds to pause after it; `wake` ends the pause.
 *
 * Invariant: one step at a time; a step that fails is logged and never ends the loop.
 */
export class Loop implements Component {
  readonly name: string
  readonly #step: (options: AbortOptions) => Promise<number>
  readonly #log: Logger
  readonly #failurePauseMs: number
  readonly #bell = new Bell()
  #stop: AbortController | undefined
  #running: Promise<void> | undefined

  constructor(step: (options: AbortOptions) => Promise<number>, log: Logger, options: LoopOptions) {
    this.name = options.name
    this.#step = step
    this.#log = log
    this.#failurePauseMs = options.failurePauseMs
  }

  /** Does the same work at intervals, which begin when it ends, well or not. */
  static every(pollMs: number, work: (options: AbortOptions) => Promise<unknown>, log: Logger, name: string): Loop {
    const step = async (options: AbortOptions): Promise<number> => {
      await work(options)
      return pollMs
    }
    return new Loop(step, log, { name, failurePauseMs: pollMs })
  }

  async start(): Promise<void> {
    if (this.#running !== undefined) return
    this.#stop = new AbortController()
    this.#running = this.#run(this.#stop.signal)
  }

  /** Aborts the signal of the running step and waits for its end. */
  async stop(): Promise<void> {
    this.#stop?.abort()
    await this.#running
    this.#running = undefined
  }

  wake(): void {
    this.#bell.ring()
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let pauseMs = this.#failurePauseMs
      try {
        pauseMs = await this.#step({ signal })
      } catch (error) {
        if (!signal.aborted) this.#log.warn('background-step-failed', { loop: this.name, ...failureFacts(error) })
      }
      await this.#bell.wait({ signal, timeoutMs: pauseMs }).catch(() => undefined) // stopped: the loop's head sees it
    }
  }
}

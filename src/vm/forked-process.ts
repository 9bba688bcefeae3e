import type { AbortOptions } from '../lib/abort.ts'
import { AoError } from '../lib/errors.ts'
import type { HandleOptions, LiveProcess, Step, VmImage, VmMessage, VmUsage } from '../ports/vm.ts'
import type { Evaluation } from '../protocol/result.ts'
import type { ForkSource } from './fork.ts'
import type { Forks } from './forks.ts'

/** A live instance whose dry-runs are evaluated on copies of it. */
export class ForkedProcess implements LiveProcess {
  readonly #source: ForkSource
  readonly #forks: Forks
  #handledMs = 0
  #closed = false

  constructor(source: ForkSource, forks: Forks) {
    this.#source = source
    this.#forks = forks
  }

  get usage(): VmUsage {
    return this.#source.live.usage
  }

  async handle(message: VmMessage, options?: HandleOptions): Promise<Step> {
    const { live, journal } = this.#source
    const step = await live.handle(message, options)
    const { handledMs } = live.usage
    if (this.#forks.has(this.#source)) journal.note(step, message, handledMs - this.#handledMs)
    this.#handledMs = handledMs
    return step
  }

  async dryRun(message: VmMessage, options?: AbortOptions): Promise<Evaluation> {
    if (this.#closed) throw new AoError('NOT_READY', 'the live instance of the Process is closed')
    return this.#forks.dryRun(this.#source, message, options)
  }

  snapshot(options?: AbortOptions): Promise<VmImage> {
    return this.#source.live.snapshot(options)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#forks.forget(this.#source)
    await this.#source.live.close()
  }
}

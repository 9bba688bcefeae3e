import { failpoint } from '../../lib/failpoint.ts'
import type { SignGuard, SignPromise } from '../../ports/sign-guard.ts'
import type { ProcessId } from '../../protocol/ids.ts'
import type { Request } from './plan.ts'
import { writeFailed } from './refusals.ts'

/** Places that are promised, or perhaps so, and not known to be in the log. Their Processes are refused until they are. */
export class Unwritten {
  readonly #guard: SignGuard
  #promises: readonly SignPromise[] = []
  #recovered = false

  constructor(guard: SignGuard) {
    this.#guard = guard
  }

  get size(): number {
    return this.#promises.length
  }

  add(promises: readonly SignPromise[]): void {
    this.#promises = [...this.#promises, ...promises]
  }

  /** All of them, to be written again. Whoever takes them gives back what fails. */
  takeAll(): readonly SignPromise[] {
    const all = this.#promises
    this.#promises = []
    return all
  }

  /** Of those that were taken, what was not tried: before all that has come since. */
  putBack(promises: readonly SignPromise[]): void {
    this.#promises = [...promises, ...this.#promises]
  }

  holds(process: ProcessId): boolean {
    return this.#promises.some(({ plan }) => plan.process === process)
  }

  /** Once: what a program before this one promised and perhaps did not append. @throws AoError `STORE_CORRUPT` */
  async recover(): Promise<void> {
    if (this.#recovered) return
    this.#promises = await this.#guard.open()
    failpoint('su-recovered')
    this.#recovered = true
  }

  /** The requests that may go on. The others are refused: of Processes that are stuck, and all if too much is. */
  passing(batch: readonly Request[], { maxPending }: { readonly maxPending: number }): readonly Request[] {
    if (this.#promises.length === 0) return batch
    const stuck = new Set(this.#promises.map(({ plan }) => plan.process))
    const full = this.#promises.length >= maxPending
    return batch.filter(({ process, reject }) => {
      const refused = full || stuck.has(process)
      if (refused) reject(writeFailed())
      return !refused
    })
  }
}

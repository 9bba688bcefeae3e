import type { SignFloor, SignGuard, SignPromise } from '../ports/sign-guard.ts'
import type { ProcessId } from '../protocol/ids.ts'
import { SignPromises } from './sign-promises.ts'

/** A SignGuard that forgets everything at the end of the program. */
export class MemorySignGuard implements SignGuard {
  readonly #promises = new SignPromises()

  async promise(batch: readonly SignPromise[]): Promise<void> {
    this.#promises.take(batch)
  }

  release(batch: readonly SignPromise[]): void {
    this.#promises.release(batch)
  }

  async open(): Promise<readonly SignPromise[]> {
    return this.#promises.open()
  }

  async floor(process: ProcessId): Promise<SignFloor | undefined> {
    return this.#promises.floor(process)
  }

  async floors(): Promise<readonly SignFloor[]> {
    return this.#promises.floors()
  }

  async raise(floors: readonly SignFloor[]): Promise<void> {
    this.#promises.raise(floors)
  }
}

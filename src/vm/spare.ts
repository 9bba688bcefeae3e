import type { VmEnvironment } from '../ports/vm.ts'
import { filledBytes } from './image.ts'
import type { Machine, PreparedModule } from './machine.ts'

/** An instance with more in its memory is not kept: nobody counts it. */
const maxFilledBytes = 8 << 20

/**
 * The instance of the Process that was closed last, for the next one of its Module that is opened with a state: memory and
 * globals are all the state that an instance has, and both are written over. Setting up a new one costs four times as
 * much, most of it page faults, under locks that all threads of a program share.
 */
export class SpareInstance {
  #kept: { readonly module: PreparedModule; readonly machine: Machine } | undefined

  /** @param machine at rest, and nobody else's any more. */
  put(module: PreparedModule, machine: Machine): void {
    if (machine.adopt !== undefined && filledBytes(machine.memory) <= maxFilledBytes) this.#kept = { module, machine }
  }

  /** One with a memory of that length, if it fits. */
  take(module: PreparedModule, environment: VmEnvironment, memoryBytes: number): Machine | undefined {
    const kept = this.#kept
    if (kept?.module !== module || kept.machine.memory.buffer.byteLength !== memoryBytes) return undefined
    this.#kept = undefined
    kept.machine.adopt?.(environment)
    return kept.machine
  }
}

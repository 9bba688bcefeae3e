import type { VmEnvironment, VmLimits, VmMessage } from '../ports/vm.ts'

/** What a module answered to one message. `trapped`: the instance is beyond use, whatever its memory holds. */
export interface Answer {
  /** An AO response object: `{ Output, Messages, … }` or `{ Error }`. */
  readonly response: unknown
  readonly trapped: boolean
}

/** One running instance. All its state is in `memory` and `globals`; `LiveProcess` reads and writes both. */
export interface Machine {
  readonly memory: WebAssembly.Memory
  /** Exported mutable globals, all i32 or i64, in index order. */
  readonly globals: readonly WebAssembly.Global[]
  /**
   * Evaluates one message. What the Process does wrong is an answer, never a throw.
   *
   * @throws AoError `NOT_READY` if this host, not the Process, is at its end.
   */
  call(message: VmMessage): Promise<Answer>
}

/** A compiled module that has been checked against the rules of its format. */
export interface PreparedModule {
  /**
   * A fresh instance, its memory grown to `memoryBytes` if that is more than it starts with.
   *
   * @throws AoError `UNSUPPORTED_MODULE` if the module cannot even start.
   */
  instantiate(environment: VmEnvironment, memoryBytes?: number): Promise<Machine>
}

/** One family of Module-Formats. */
export interface Vm {
  readonly formats: readonly string[]
  /** @throws AoError `UNSUPPORTED_MODULE` with the rule that the bytes break. */
  prepare(bytes: Uint8Array, format: string, limits: VmLimits): PreparedModule
}

/**
 * The words a Process's trap is known by. Never the engine's text, which differs by version, so that all nodes store
 * the same Result.
 */
export type TrapWord = 'out of memory' | 'stack overflow' | 'trap'

export const trapped = (word: TrapWord): Answer => ({ response: { Error: word }, trapped: true })

/** Names a trap. `memoryRefused`: the module asked for more than its limit before it gave up. */
export function trapWord(thrown: unknown, memoryRefused: boolean): TrapWord {
  if (memoryRefused) return 'out of memory'
  return thrown instanceof RangeError && thrown.message.includes('call stack') ? 'stack overflow' : 'trap'
}

import type { BootItem, VmEnvironment, VmLimits, VmMessage } from '../ports/vm.ts'
import type { RootRule } from '../protocol/root-rule.ts'
import type { MeteredFiles } from './metered-files.ts'

/** What a module answered to one message. */
export interface Answer {
  /** An AO response object: `{ Output, Messages, … }` or `{ Error }`. */
  readonly response: unknown
  /** Whether the instance is as good as before once its memory and globals are put back, unless its memory grew. */
  readonly reusable: boolean
  readonly gasUsed: bigint
}

/** A mutable global and how its value is written down. */
export interface StateGlobal {
  readonly type: 'i32' | 'i64' | 'f32' | 'f64'
  readonly global: WebAssembly.Global
}

/** One running instance. All its state is in `memory` and `globals`; `LiveProcess` reads and writes both. */
export interface Machine {
  readonly memory: WebAssembly.Memory
  /** All mutable globals of the module, in index order. */
  readonly globals: readonly StateGlobal[]
  /**
   * Evaluates one message with so much gas. What the Process does wrong is an answer, never a throw.
   *
   * @throws AoError `NOT_READY` if this host, not the Process, is at its end.
   */
  call(message: VmMessage, gas: bigint, boot?: BootItem): Promise<Answer>
  /**
   * From now on it is an instance of that Process, whose state is about to be written over what it holds. Absent where a
   * new one costs as little.
   */
  adopt?(environment: VmEnvironment): void
}

/** A compiled module that has been checked against the rules of its format. */
export interface PreparedModule {
  readonly rootRule: RootRule
  /** From which `Vm.revive` makes the same in another thread: it can be cloned, and what is compiled is shared. */
  readonly code: unknown
  /**
   * A fresh instance. With `memoryBytes`, one for a state of that length to be written over: its memory is grown to
   * that, and what it holds until then is not said.
   *
   * @throws AoError `UNSUPPORTED_MODULE` if the module cannot even start.
   */
  instantiate(environment: VmEnvironment, memoryBytes?: number): Promise<Machine>
}

/** One family of Module-Formats. */
export interface Vm {
  readonly formats: readonly string[]
  /** @throws AoError `UNSUPPORTED_MODULE` with the rule that the bytes break. */
  prepare(bytes: Uint8Array, format: string, limits: VmLimits, kept?: MeteredFiles): PreparedModule
  /** What `prepare` gave in another thread, for the same format and limits. */
  revive(code: unknown, format: string, limits: VmLimits, kept?: MeteredFiles): PreparedModule
}

/**
 * The words a Process's trap is known by. Never the engine's text, which differs by version, so that all nodes store
 * the same Result.
 */
export type TrapWord = 'out of gas' | 'out of memory' | 'stack overflow' | 'trap'

export const trapped = (word: TrapWord, gasUsed: bigint, reusable = true): Answer => ({
  response: { Error: word },
  reusable,
  gasUsed,
})

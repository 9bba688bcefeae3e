import { tooDeep } from './body-writer.ts'

/** Fixed words for how a call ended early: part of results, so never the text of an engine. */
export type TrapWords = 'out of gas' | 'stack overflow' | 'trap'

/**
 * Why a metered module trapped, from its two globals after the trap.
 * A `RangeError` of the host is no outcome of the module: it means that this host's stack is too small.
 */
export function trapWords(globals: { readonly gas: bigint; readonly depth: number }): TrapWords {
  if (globals.depth === tooDeep) return 'stack overflow'
  return globals.gas < 0n ? 'out of gas' : 'trap'
}

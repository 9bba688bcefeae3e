/** A value on top of the stack whose instructions stand alone, end to end, and do nothing but make it. */
export interface Value {
  /** Where its first instruction is. */
  readonly start: number
  /** As an i32, if it is the same whenever the code runs. */
  readonly known?: number | undefined
  /** Whether it is 0 or 1. */
  readonly isBoolean: boolean
}

/** What becomes of instructions that made a value: all are kept, or only those of one operand, or a constant stands in. */
export type Folded =
  | { readonly keep: 'all'; readonly isBoolean: boolean }
  | { readonly keep: 'first' | 'second' }
  | { readonly keep: 'constant'; readonly value: 0 | 1 }

const [eq, ne] = [0x46, 0x47]
const [firstComparison, lastComparison] = [0x46, 0x4f]
const [and, or] = [0x71, 0x72]
/** Of two values of type i32, those that never trap: add, sub, mul, and, or, xor and the shifts. */
const plain: readonly number[] = [0x6a, 0x6b, 0x6c, and, or, 0x73, 0x74, 0x75, 0x76]

export const isPureBinary = (opcode: number): boolean =>
  (opcode >= firstComparison && opcode <= lastComparison) || plain.includes(opcode)

/** What `opcode` gives for two values. */
export function foldBinary(opcode: number, first: Value, second: Value): Folded {
  const isComparison = opcode >= firstComparison && opcode <= lastComparison
  const [a, b] = [first.known, second.known]
  if (a !== undefined && b !== undefined) {
    if (opcode === eq) return { keep: 'constant', value: a === b ? 1 : 0 }
    if (opcode === ne) return { keep: 'constant', value: a === b ? 0 : 1 }
  }
  if (opcode === or) return foldOr(first, second)
  if (opcode === and) return foldAnd(first, second)
  return { keep: 'all', isBoolean: isComparison }
}

function foldOr(first: Value, second: Value): Folded {
  if (first.known === 0) return { keep: 'second' }
  if (second.known === 0) return { keep: 'first' }
  const areBooleans = first.isBoolean && second.isBoolean
  if (areBooleans && (first.known === 1 || second.known === 1)) return { keep: 'constant', value: 1 }
  return { keep: 'all', isBoolean: areBooleans }
}

function foldAnd(first: Value, second: Value): Folded {
  if (first.known === 0 || second.known === 0) return { keep: 'constant', value: 0 }
  if (first.known === 1 && second.isBoolean) return { keep: 'second' }
  if (second.known === 1 && first.isBoolean) return { keep: 'first' }
  return { keep: 'all', isBoolean: first.isBoolean || second.isBoolean }
}

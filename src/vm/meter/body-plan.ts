/** What the meter puts between two instructions of a function. */
export const edit = {
  /** Nothing after all: a run that turned out to cost nothing. */
  none: 0,
  /** Take the cost of a run. */
  pay: 1,
  /** Take it and trap when nothing is left: at the head of functions and loops. */
  payAndCheck: 2,
  check: 3,
  /** Tell the callee how deep it is called. */
  call: 4,
  callHost: 5,
  /** Pay for a length on the stack; 32 or 64 bits wide. */
  payBytes32: 6,
  payBytes64: 7,
  payEntries: 8,
  payPages32: 9,
  payPages64: 10,
  /** A callee has paid: what is left is read anew. */
  reload: 11,
  /** Both: at the head of a handler. */
  reloadAndPay: 12,
  /** Plus the kind of NaN. */
  nan: 16,
} as const

/** Insertions in order of position, as columns: a large function has tens of thousands, so no object each. */
export class Edits {
  readonly positions: number[] = []
  readonly kinds: number[] = []
  readonly values: number[] = []

  get length(): number {
    return this.positions.length
  }

  add(position: number, kind: number, value = 0): number {
    this.positions.push(position)
    this.kinds.push(kind)
    this.values.push(value)
    return this.positions.length - 1
  }

  set(index: number, kind: number, value: number): void {
    this.kinds[index] = kind
    this.values[index] = value
  }

  clear(): void {
    this.positions.length = 0
    this.kinds.length = 0
    this.values.length = 0
  }
}

/** What a first pass over a function found out, and a second pass writes. Positions are offsets in the module. */
export interface BodyPlan {
  /** How many groups of locals the function declares, where they are, and where its code is. */
  readonly localGroups: number
  readonly localsAt: number
  readonly codeAt: number
  readonly end: number
  /** Parameters and locals together: the first index that is free. */
  readonly locals: number
  /** Words of call stack that a frame of this function counts for. */
  readonly frameWords: number
  readonly calls: boolean
  /** Whether it pays more than once: then what is left is kept in a local. */
  readonly paysOften: boolean
  /** Whether it pays for lengths that it finds on the stack. */
  readonly paysLengths: boolean
  /** Which kinds of `nanKind` are needed, as bits. */
  readonly nanKinds: number
  readonly edits: Edits
}

import type { BinaryReader } from '../meter/binary-reader.ts'
import { immediate, immediateOf, op } from '../meter/opcodes.ts'
import { readI32, skipBlock, skipImmediates } from './code.ts'
import type { Frame, Piece } from './folded-body.ts'
import { type Folded, foldBinary, isPureBinary, type Value } from './known-values.ts'

const [block, br, brIf, drop, i32Eqz] = [0x02, 0x0c, 0x0d, 0x1a, 0x45]

/**
 * Reads the code of one function, in which a global is always zero, and leaves out what never runs then: arms of `if` and
 * branches whose condition follows from that. Nothing else changes: what does run, runs in the same order.
 */
export class Folder {
  readonly #reader: BinaryReader
  readonly #zero: number
  readonly #pieces: Piece[] = []
  readonly #frames: Frame[] = []
  /** The values on top of the stack that are known to stand alone, the topmost last. */
  #values: Value[] = []

  /** @param zero index of the global. */
  constructor(reader: BinaryReader, zero: number) {
    this.#reader = reader
    this.#zero = zero
  }

  /** The function's own block is always kept. */
  fold(): readonly Piece[] {
    this.#frames.push({ opcode: block, isTarget: true, depth: 0 })
    while (this.#frames.length > 0) this.#step()
    return this.#pieces
  }

  #step(): void {
    const at = this.#reader.at
    const opcode = this.#reader.byte()
    if (opcode === op.i32Const) this.#readConstant(at)
    else if (opcode === op.globalGet) this.#readGlobal(at)
    else if (opcode === op.localGet) this.#readLocal(at)
    else if (opcode === i32Eqz && this.#values.length > 0) this.#foldEqz(at)
    else if (isPureBinary(opcode) && this.#values.length > 1) this.#foldBinary(opcode, at)
    else if (opcode === op.select && this.#top?.known !== undefined) this.#foldSelect(at)
    else this.#stepControl(opcode, at)
  }

  #stepControl(opcode: number, at: number): void {
    if (opcode === op.if && this.#top?.known !== undefined) this.#foldIf(this.#takeKnown())
    else if (immediateOf[opcode] === immediate.block) this.#open(opcode)
    else if (opcode === op.else || opcode === op.end) this.#close(opcode)
    else if (opcode === br || opcode === brIf || opcode === op.brTable) this.#branch(opcode)
    else {
      skipImmediates(this.#reader, opcode)
      this.#values = []
      this.#copy(at)
    }
  }

  get #top(): Value | undefined {
    return this.#values.at(-1)
  }

  #readConstant(at: number): void {
    const known = readI32(this.#reader)
    this.#values.push({ start: this.#pieces.length, known, isBoolean: known === 0 || known === 1 })
    this.#pieces.push({ from: at, to: this.#reader.at })
  }

  #pushConstant(known: 0 | 1): void {
    this.#values.push({ start: this.#pieces.length, known, isBoolean: true })
    this.#pieces.push(constantPiece(known))
  }

  #readLocal(at: number): void {
    this.#reader.skipLeb()
    this.#pushPure(at)
  }

  #pushPure(at: number): void {
    this.#values.push({ start: this.#pieces.length, isBoolean: false })
    this.#pieces.push({ from: at, to: this.#reader.at })
  }

  #readGlobal(at: number): void {
    const index = this.#reader.u32()
    if (index === this.#zero) this.#pushConstant(0)
    else this.#pushPure(at)
  }

  #foldEqz(at: number): void {
    const value = this.#values.pop() as Value
    if (value.known !== undefined) {
      this.#pieces.length = value.start
      this.#pushConstant(value.known === 0 ? 1 : 0)
      return
    }
    this.#pieces.push({ from: at, to: this.#reader.at })
    this.#values.push({ start: value.start, isBoolean: true })
  }

  #foldBinary(opcode: number, at: number): void {
    const [first, second] = this.#values.splice(-2) as [Value, Value]
    this.#keep(foldBinary(opcode, first, second), { first, second, at })
  }

  #keep(folded: Folded, { first, second, at }: { first: Value; second: Value; at: number }): void {
    if (folded.keep === 'all') {
      this.#pieces.push({ from: at, to: this.#reader.at })
      this.#values.push({ start: first.start, isBoolean: folded.isBoolean })
    } else if (folded.keep === 'constant') {
      this.#pieces.length = first.start
      this.#pushConstant(folded.value)
    } else if (folded.keep === 'first') {
      this.#pieces.length = second.start
      this.#values.push(first)
    } else {
      this.#pieces.splice(first.start, second.start - first.start)
      this.#values.push({ ...second, start: first.start })
    }
  }

  /** Takes the condition, which is known, off the stack and out of the code. */
  #takeKnown(): number {
    const condition = this.#values.pop() as Value
    this.#pieces.length = condition.start
    return condition.known as number
  }

  #foldSelect(at: number): void {
    const takesFirst = this.#takeKnown() !== 0
    const second = this.#values.pop()
    const first = this.#values.pop()
    if (second === undefined) {
      // Made by code that does something: the choice stays, and the engine sees through it.
      this.#pieces.push(constantPiece(takesFirst ? 1 : 0), { from: at, to: this.#reader.at })
      return
    }
    if (first !== undefined) this.#keep({ keep: takesFirst ? 'first' : 'second' }, { first, second, at })
    else if (takesFirst) this.#pieces.length = second.start
    else {
      this.#pieces.splice(second.start, 0, { from: 0, to: 0, opcode: drop })
      this.#values.push({ ...second, start: second.start + 1 })
    }
  }

  #foldIf(condition: number): void {
    const typeAt = this.#reader.at
    skipImmediates(this.#reader, op.if)
    const type = { from: typeAt, to: this.#reader.at }
    if (condition === 0 && skipBlock(this.#reader, true) === op.end) return
    // `else` of a block cannot be: where it comes, the arm that runs is over.
    this.#push(block, type)
  }

  #open(opcode: number): void {
    const typeAt = this.#reader.at
    skipImmediates(this.#reader, opcode)
    this.#push(opcode, { from: typeAt, to: this.#reader.at })
  }

  #push(opcode: number, type: { from: number; to: number }): void {
    const frame = { opcode, isTarget: opcode === op.if, depth: 0 }
    this.#frames.push(frame)
    this.#pieces.push({ ...type, opcode, frame })
    this.#values = []
  }

  #close(opcode: number): void {
    const frame = this.#frames.at(-1) as Frame
    this.#values = []
    if (opcode === op.else && frame.opcode === op.if) {
      this.#pieces.push({ from: 0, to: 0, opcode, frame })
      return
    }
    if (opcode === op.else) skipBlock(this.#reader, false)
    this.#frames.pop()
    // The `end` of the function itself.
    if (this.#frames.length === 0) this.#pieces.push({ from: 0, to: 0, opcode: op.end })
    else this.#pieces.push({ from: 0, to: 0, opcode: op.end, frame })
  }

  #branch(opcode: number): void {
    const count = opcode === op.brTable ? this.#reader.u32() + 1 : 1
    const targets = Array.from({ length: count }, () => this.#frames.at(-1 - this.#reader.u32()) as Frame)
    const known = opcode === brIf ? this.#top?.known : undefined
    if (known !== undefined) {
      this.#takeKnown()
      if (known === 0) return
    }
    for (const target of targets) target.isTarget = true
    this.#values = []
    this.#pieces.push({ from: 0, to: 0, opcode: known === undefined ? opcode : br, targets })
  }

  /** Grows the piece before, if that ends here and nothing can be cut between. */
  #copy(from: number): void {
    const last = this.#pieces.at(-1)
    const joins = last !== undefined && last.to === from && last.opcode === undefined
    if (joins) last.to = this.#reader.at
    else this.#pieces.push({ from, to: this.#reader.at })
  }
}

const constantPiece = (value: 0 | 1): Piece => ({ from: 0, to: 0, opcode: op.i32Const, constant: value })

import type { BinaryWriter } from './binary-writer.ts'
import { type BodyPlan, edit } from './body-plan.ts'
import { nanLocalType, writeCanonicalNan } from './canonical-nan.ts'
import { blockVoid, op, valueType } from './opcodes.ts'
import type { PriceTable } from './prices.ts'

/** What `__depth` holds after a call too deep: above any limit, so that every further entry traps as well. */
export const tooDeep = 0x7fff_ffff
/** Words of stack that a call to the host counts for beyond the caller's frame: it may call back in. */
const hostCallWords = 64
/** `memory.grow` pays for no more pages than this: one that asks for more fails. */
const mostPages = 65_536
/** A bulk instruction pays for no more bytes than this: one that asks for more traps. Keeps the product in 63 bits. */
const mostBytes = 2 ** 40

export interface MeterGlobals {
  readonly gas: number
  readonly depth: number
}

/** Second pass over a function: copies it between the insertions that the plan names. */
export class BodyWriter {
  readonly #writer: BinaryWriter
  readonly #globals: MeterGlobals
  readonly #prices: PriceTable
  readonly #maxDepthWords: number
  // Indices of the locals that the current function is given.
  #gasLocal = 0
  #lengthLocal = 0
  #depthLocal = 0
  /** Whether the current function keeps in a local what is left: then a run pays without waiting for the memory. */
  #keeps = false
  readonly #nanLocals: number[] = [0, 0, 0, 0, 0]

  constructor(writer: BinaryWriter, globals: MeterGlobals, prices: PriceTable, maxDepthWords: number) {
    this.#writer = writer
    this.#globals = globals
    this.#prices = prices
    this.#maxDepthWords = maxDepthWords
  }

  /** Writes the body without its size. */
  write(bytes: Uint8Array, plan: BodyPlan): void {
    this.#keeps = plan.paysOften
    this.#writeLocals(bytes, plan)
    if (plan.calls) this.#enter(plan.frameWords)
    const { positions, kinds, values } = plan.edits
    let from = plan.codeAt
    for (let i = 0; i < positions.length; i++) {
      const kind = kinds[i] ?? edit.none
      if (kind === edit.none) continue
      const at = positions[i] ?? from
      this.#writer.copy(bytes, from, at)
      from = at
      if (i === 0) this.#payFirst(values[i] ?? 0)
      else this.#insert(kind, values[i] ?? 0)
    }
    this.#writer.copy(bytes, from, plan.end)
  }

  #writeLocals(bytes: Uint8Array, plan: BodyPlan): void {
    const added: number[] = []
    const add = (type: number): number => plan.locals + added.push(type) - 1
    // Also where it pays once: the check wants the difference twice.
    this.#gasLocal = add(valueType.i64)
    if (plan.paysLengths) this.#lengthLocal = add(valueType.i64)
    if (plan.calls) this.#depthLocal = add(valueType.i32)
    for (let kind = 1; kind < nanLocalType.length; kind++) {
      if ((plan.nanKinds & (1 << kind)) !== 0) this.#nanLocals[kind] = add(nanLocalType[kind] ?? valueType.v128)
    }
    this.#writer.u32(plan.localGroups + added.length)
    this.#writer.copy(bytes, plan.localsAt + lebBytes(bytes, plan.localsAt), plan.codeAt)
    for (const type of added) this.#writer.bytes(1, type)
  }

  #insert(kind: number, cost: number): void {
    const { perPage, per64Bytes, perTableEntry } = this.#prices
    if (kind === edit.pay || kind === edit.payAndCheck) this.#pay(cost, kind === edit.payAndCheck)
    else if (kind === edit.call || kind === edit.callHost) this.#tellDepth(kind === edit.callHost)
    else if (kind === edit.check) this.#check()
    else if (kind === edit.reload) this.#reload()
    else if (kind === edit.reloadAndPay) this.#reloadAndPay(cost)
    else if (kind === edit.payBytes32) this.#payLength({ wide: false, shift: 6, price: per64Bytes })
    else if (kind === edit.payBytes64) this.#payLength({ wide: true, most: mostBytes, shift: 6, price: per64Bytes })
    else if (kind === edit.payEntries) this.#payLength({ wide: false, shift: 0, price: perTableEntry })
    else if (kind >= edit.nan) writeCanonicalNan(this.#writer, kind - edit.nan, this.#nanLocals[kind - edit.nan] ?? 0)
    else this.#payLength({ wide: kind === edit.payPages64, most: mostPages, shift: 0, price: perPage })
  }

  /** depth = __depth + frame; beyond the limit: mark and trap. */
  #enter(frame: number): void {
    this.#op(op.globalGet, this.#globals.depth)
    this.#constant(op.i32Const, frame)
    this.#writer.byte(op.i32Add)
    this.#op(op.localTee, this.#depthLocal)
    this.#constant(op.i32Const, this.#maxDepthWords)
    this.#writer.bytes(op.i32GtU, op.if, blockVoid)
    this.#constant(op.i32Const, tooDeep)
    this.#op(op.globalSet, this.#globals.depth)
    this.#writer.bytes(op.unreachable, op.end)
  }

  /** __depth = depth. Nothing is undone when the callee returns, throws or traps: whoever calls next writes anew. */
  #tellDepth(host: boolean): void {
    this.#op(op.localGet, this.#depthLocal)
    if (host) {
      this.#constant(op.i32Const, hostCallWords)
      this.#writer.byte(op.i32Add)
    }
    this.#op(op.globalSet, this.#globals.depth)
  }

  /** At the head of the function: from here on `#gasLocal` holds what is left, in a function that keeps it. */
  #payFirst(cost: number): void {
    if (cost > 0) this.#reloadAndPay(cost)
    else this.#load()
    this.#check()
  }

  // What is left is written back at once, so that the host reads the truth after any trap; but it is not read again.
  #pay(cost: number, check: boolean): void {
    this.#op(op.localGet, this.#gasLocal)
    this.#subtract(cost)
    if (check) this.#check()
  }

  #reloadAndPay(cost: number): void {
    this.#op(op.globalGet, this.#globals.gas)
    this.#subtract(cost)
  }

  #subtract(cost: number): void {
    this.#constant(op.i64Const, cost)
    this.#writer.byte(op.i64Sub)
    this.#op(op.localTee, this.#gasLocal)
    this.#op(op.globalSet, this.#globals.gas)
  }

  #reload(): void {
    if (this.#keeps) this.#load()
  }

  #load(): void {
    this.#op(op.globalGet, this.#globals.gas)
    this.#op(op.localSet, this.#gasLocal)
  }

  /** Stack: …, length. Takes price * (min(length, most) >> shift), traps before the work when it is too much. */
  #payLength({ wide, most, shift, price }: LengthPrice): void {
    if (!wide) this.#writer.byte(op.i64ExtendI32U)
    this.#op(op.localSet, this.#lengthLocal)
    this.#op(op.globalGet, this.#globals.gas)
    this.#op(op.localGet, this.#lengthLocal)
    if (most !== undefined) {
      this.#constant(op.i64Const, most)
      this.#op(op.localGet, this.#lengthLocal)
      this.#constant(op.i64Const, most)
      this.#writer.bytes(op.i64LtU, op.select)
    }
    if (shift > 0) this.#writer.bytes(op.i64Const, shift, op.i64ShrU)
    this.#constant(op.i64Const, price)
    this.#writer.bytes(op.i64Mul, op.i64Sub)
    this.#op(op.localTee, this.#gasLocal)
    this.#op(op.globalSet, this.#globals.gas)
    this.#check()
    this.#op(op.localGet, this.#lengthLocal)
    if (!wide) this.#writer.byte(op.i32WrapI64)
  }

  #check(): void {
    this.#op(op.localGet, this.#gasLocal)
    this.#writer.copy(trapIfNegative, 0, trapIfNegative.length)
  }

  #op(opcode: number, index: number): void {
    this.#writer.byte(opcode)
    this.#writer.u32(index)
  }

  #constant(opcode: number, value: number): void {
    this.#writer.byte(opcode)
    this.#writer.signed(value)
  }
}

const trapIfNegative = Uint8Array.of(op.i64Const, 0, op.i64LtS, op.if, blockVoid, op.unreachable, op.end)

interface LengthPrice {
  readonly wide: boolean
  readonly most?: number
  readonly shift: number
  readonly price: number
}

function lebBytes(bytes: Uint8Array, at: number): number {
  let length = 1
  while ((bytes[at + length - 1] ?? 0) >= 0x80) length++
  return length
}

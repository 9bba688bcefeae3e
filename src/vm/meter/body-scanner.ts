import type { BinaryReader } from './binary-reader.ts'
import { type BodyPlan, Edits, edit } from './body-plan.ts'
import { hidesNan, nanKind, nanKindOfType, nanOf, simdNanOf } from './canonical-nan.ts'
import { skipHeapType } from './constant-expression.ts'
import { ControlStack } from './control-stack.ts'
import { moduleLimits } from './limits.ts'
import { miscOpcodes } from './misc-opcodes.ts'
import { type FunctionType, type ModuleFacts, readValueType, typeAt } from './module-sections.ts'
import type { FeatureUse } from './module-shape.ts'
import { endsRun, heightOf, immediate, immediateOf, op, valueType } from './opcodes.ts'
import type { PriceTable } from './prices.ts'
import { refusal } from './refusal.ts'
import { firstRelaxed, simdHeightOf, simdImmediate, simdImmediateOf } from './simd-opcodes.ts'

/** Words of a frame beyond locals and operands: return address, saved registers, the locals that the meter adds. */
const frameWords = 12
/** A function that calls nothing pays for its frame only if it is larger than this. */
const smallFrameWords = 64

/**
 * First pass over a function: decides what is put where. One scanner serves all functions of a module, and the plan it
 * gives is good until the next.
 */
export class BodyScanner {
  readonly #facts: ModuleFacts
  readonly #prices: PriceTable
  readonly #strict: boolean
  readonly #edits = new Edits()
  readonly #stack = new ControlStack()
  /** Instructions met so far, over all functions. */
  readonly uses: { -readonly [Feature in keyof FeatureUse]: boolean } = {
    tableChanges: false,
    segmentDrops: false,
    exceptions: false,
    simd: false,
    memoryGrow: false,
  }
  #vectors = false
  #calls = false
  /** Most values that go to and come from one callee: engines keep room for them apart from the operands. */
  #passed = 0
  /** Places where it pays. */
  #pays = 0
  #paysLengths = false
  #nanKinds = 0
  #run = 0
  #runCost = 0
  #runIsHead = true
  #runIsHandler = false

  constructor(facts: ModuleFacts, prices: PriceTable, strict: boolean) {
    this.#facts = facts
    this.#prices = prices
    this.#strict = strict
  }

  /**
   * `reader` holds one function body, without its size.
   *
   * @throws AoError `UNSUPPORTED_MODULE`
   */
  scan(reader: BinaryReader, type: FunctionType): BodyPlan {
    this.#reset()
    const localsAt = reader.at
    const { groups, words, count } = this.#readLocals(reader, type)
    const codeAt = reader.at
    this.#startRun(codeAt, true)
    while (!this.#stack.empty) this.#step(reader)
    if (!reader.done) throw refusal('invalid', 'a function goes on after its end')
    const values = this.#stack.top + this.#passed
    const frame = frameWords + words + values * (this.#vectors ? 2 : 1)
    return {
      localGroups: groups,
      localsAt,
      codeAt,
      end: reader.end,
      locals: count,
      frameWords: frame,
      calls: this.#calls || frame > smallFrameWords,
      paysOften: this.#pays > 1,
      paysLengths: this.#paysLengths,
      nanKinds: this.#nanKinds,
      edits: this.#edits,
    }
  }

  #reset(): void {
    this.#edits.clear()
    this.#stack.reset()
    this.#vectors = false
    this.#calls = false
    this.#passed = 0
    this.#pays = 0
    this.#paysLengths = false
    this.#nanKinds = 0
  }

  #readLocals(reader: BinaryReader, type: FunctionType): { groups: number; words: number; count: number } {
    const groups = reader.count('groups of locals', moduleLimits.locals)
    let count = type.params.length
    let vectors = type.params.reduce((sum, param) => sum + (param === valueType.v128 ? 1 : 0), 0)
    for (let left = groups; left > 0; left--) {
      const size = reader.u32()
      count += size
      if (count > moduleLimits.locals) throw refusal('too-big', 'a function has too many locals', { count })
      if (readValueType(reader) === valueType.v128) vectors += size
    }
    this.#vectors = vectors > 0
    return { groups, words: count + vectors, count }
  }

  #step(reader: BinaryReader): void {
    const at = reader.at
    const opcode = reader.byte()
    this.#runCost += this.#prices.opcodes[opcode] ?? 0
    this.#stack.change(0, heightOf[opcode] ?? 0)
    this.#readImmediate(reader, opcode, at)
    const nan = nanOf[opcode] ?? 0
    if (nan !== nanKind.none && hidesNan[reader.peek()] !== 1) this.#canonicalise(reader.at, nan)
    if (endsRun[opcode] === 1) this.#endRun(reader, opcode)
  }

  #endRun(reader: BinaryReader, opcode: number): void {
    if (opcode === op.else) this.#stack.restart('params')
    else if (opcode === op.catchAll) this.#stack.restart(0)
    else if (opcode === op.end || opcode === op.delegate) this.#stack.leave()
    const cost = this.#runCost === 0 ? 0 : this.#runCost + this.#prices.perRun
    const kind = this.#kindOfRun(cost)
    if (kind !== edit.none && kind !== edit.reload) this.#pays++
    this.#edits.set(this.#run, kind, cost)
    this.#startRun(reader.at, opcode === op.loop)
    this.#runIsHandler = opcode === op.catch || opcode === op.catchAll
  }

  #kindOfRun(cost: number): number {
    if (this.#runIsHead) return cost === 0 ? edit.check : edit.payAndCheck
    if (this.#runIsHandler) return cost === 0 ? edit.reload : edit.reloadAndPay
    return cost === 0 ? edit.none : edit.pay
  }

  /** Its cost is known only at its end, but it is taken here. */
  #startRun(at: number, head: boolean): void {
    this.#run = this.#edits.add(at, edit.none)
    this.#runCost = 0
    this.#runIsHead = head
    this.#runIsHandler = false
  }

  #readImmediate(reader: BinaryReader, opcode: number, at: number): void {
    switch (immediateOf[opcode]) {
      case immediate.none:
        break
      case immediate.leb:
        this.#readIndex(reader, opcode, at)
        break
      case immediate.memory:
        skipMemoryArgument(reader)
        break
      case immediate.block:
        if (opcode === op.try) this.uses.exceptions = true
        this.#stack.enter(reader, this.#facts)
        break
      case immediate.call:
      case immediate.callIndirect:
        this.#readCall(reader, opcode, at)
        break
      default:
        this.#readRare(reader, opcode, at)
    }
  }

  #readRare(reader: BinaryReader, opcode: number, at: number): void {
    const kind = immediateOf[opcode]
    if (kind === immediate.bytes4) reader.skip(4)
    else if (kind === immediate.bytes8) reader.skip(8)
    else if (kind === immediate.misc) this.#readMisc(reader, at)
    else if (kind === immediate.simd) this.#readSimd(reader)
    else if (kind === immediate.tag) this.#readTag(reader, opcode)
    else if (kind === immediate.heapType) skipHeapType(reader)
    else if (kind === immediate.types) {
      for (let left = reader.count('types of a select', 1); left > 0; left--) readValueType(reader)
    } else if (kind === immediate.brTable) {
      for (let left = reader.count('branches in one table', 65_520) + 1; left > 0; left--) reader.skipLeb()
    } else throw unknownOpcode(opcode)
  }

  #readIndex(reader: BinaryReader, opcode: number, at: number): void {
    if (opcode === op.globalSet) this.#canonicaliseGlobal(reader.u32(), at)
    else reader.skipLeb()
    if (opcode === op.tableSet) this.#noteUnsaved('table-change')
    if (opcode !== op.memoryGrow) return
    this.uses.memoryGrow = true
    if (this.#prices.perPage > 0) this.#payLength(at, this.#facts.memory?.index64 ? edit.payPages64 : edit.payPages32)
  }

  #readCall(reader: BinaryReader, opcode: number, at: number): void {
    const index = reader.u32()
    const indirect = opcode === op.callIndirect || opcode === op.returnCallIndirect
    if (indirect) reader.skipLeb()
    const type = indirect ? typeAt(this.#facts, index) : this.#facts.functions[index]
    if (type === undefined) throw refusal('invalid', 'a call names a function that does not exist', { index })
    this.#stack.change(type.params.length, type.results.length)
    if (type.results.includes(valueType.v128)) this.#vectors = true
    this.#calls = true
    this.#passed = Math.max(this.#passed, type.params.length + type.results.length)
    const host = !indirect && index < this.#facts.importedFunctions
    this.#edits.add(at, host ? edit.callHost : edit.call)
    if (opcode === op.call || opcode === op.callIndirect) this.#edits.add(reader.at, edit.reload)
    // What the host computes may hold the bits of its machine as well.
    if (host && opcode === op.call && type.results.length === 1) {
      const nan = nanKindOfType(type.results[0])
      if (nan !== nanKind.none) this.#canonicalise(reader.at, nan)
    }
  }

  #readTag(reader: BinaryReader, opcode: number): void {
    this.uses.exceptions = true
    const index = reader.u32()
    const tag = this.#facts.tags[index]
    if (tag === undefined) throw refusal('invalid', 'an exception tag does not exist', { index })
    if (opcode === op.catch) this.#stack.restart(tag.params.length)
    else this.#stack.change(tag.params.length, 0)
  }

  #readMisc(reader: BinaryReader, at: number): void {
    const code = reader.u32()
    const misc = miscOpcodes[code]
    if (misc === undefined) throw unknownOpcode(op.misc, code)
    for (let left = misc.immediates; left > 0; left--) reader.skipLeb()
    this.#stack.change(0, misc.height)
    if (misc.unsaved !== undefined) this.#noteUnsaved(misc.unsaved)
    if (misc.pays === 'entries') this.#payLength(at, edit.payEntries)
    // The length of memory.init counts bytes of a segment, so it has 32 bits even where addresses have 64.
    else if (misc.pays === 'bytes-of-segment') this.#payLength(at, edit.payBytes32)
    else if (misc.pays === 'bytes') this.#payLength(at, this.#facts.memory?.index64 ? edit.payBytes64 : edit.payBytes32)
  }

  #readSimd(reader: BinaryReader): void {
    const code = reader.u32()
    if (code >= firstRelaxed) throw refusal('relaxed-simd', 'the module uses relaxed SIMD', { opcode: code })
    this.uses.simd = true
    this.#vectors = true
    this.#stack.change(0, simdHeightOf[code] ?? 0)
    const kind = simdImmediateOf[code]
    if (kind === simdImmediate.unknown) throw unknownOpcode(op.simd, code)
    if (kind === simdImmediate.memory || kind === simdImmediate.memoryLane) skipMemoryArgument(reader)
    if (kind === simdImmediate.lane || kind === simdImmediate.memoryLane) reader.skip(1)
    if (kind === simdImmediate.bytes16) reader.skip(16)
    const nan = simdNanOf[code] ?? 0
    if (nan !== nanKind.none) this.#canonicalise(reader.at, nan)
  }

  /** A mutable float global is saved as a JavaScript number, which need not keep the bits of a NaN. */
  #canonicaliseGlobal(index: number, at: number): void {
    const nan = nanKindOfType(this.#facts.globals[index]?.type)
    if (nan !== nanKind.none) this.#canonicalise(at, nan)
  }

  #canonicalise(at: number, kind: number): void {
    this.#nanKinds |= 1 << kind
    this.#edits.add(at, edit.nan + kind)
  }

  #payLength(at: number, kind: number): void {
    this.#paysLengths = true
    this.#edits.add(at, kind)
  }

  #noteUnsaved(reason: 'table-change' | 'segment-drop'): void {
    if (reason === 'table-change') this.uses.tableChanges = true
    else this.uses.segmentDrops = true
    if (this.#strict)
      throw refusal(reason, 'the module changes state that is saved neither with memory nor with globals')
  }
}

function skipMemoryArgument(reader: BinaryReader): void {
  const alignment = reader.u32()
  if ((alignment & 0x40) !== 0) throw refusal('multi-memory', 'an instruction names its memory')
  reader.skipLeb()
}

function unknownOpcode(opcode: number, second?: number): Error {
  const facts = second === undefined ? { opcode } : { opcode, second }
  if (opcode === 0x0a || opcode === 0x1f) return refusal('exnref', 'the module uses exception references', facts)
  if (opcode === 0xfb) return refusal('gc', 'the module uses garbage-collected types', facts)
  if (opcode === 0xfe) return refusal('threads', 'the module uses atomic instructions', facts)
  const typed = opcode === 0x14 || opcode === 0x15 || (opcode >= 0xd3 && opcode <= 0xd6)
  if (typed) return refusal('typed-references', 'the module uses typed function references', facts)
  return refusal('unknown-opcode', 'the module uses an instruction that is not metered', facts)
}

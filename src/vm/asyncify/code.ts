import type { BinaryReader } from '../meter/binary-reader.ts'
import { skipHeapType } from '../meter/constant-expression.ts'
import { miscOpcodes } from '../meter/misc-opcodes.ts'
import { blockVoid, immediate, immediateOf, op, valueType } from '../meter/opcodes.ts'
import { refusal } from '../meter/refusal.ts'
import { simdImmediate, simdImmediateOf } from '../meter/simd-opcodes.ts'

/** Passes over what follows an opcode, branches through tables apart. The module has been found valid before. */
export function skipImmediates(reader: BinaryReader, opcode: number): void {
  const kind = immediateOf[opcode]
  if (kind === immediate.none) return
  if (kind === immediate.leb || kind === immediate.call || kind === immediate.tag) reader.skipLeb()
  else if (kind === immediate.memory || kind === immediate.callIndirect) {
    reader.skipLeb()
    reader.skipLeb()
  } else if (kind === immediate.block) skipBlockType(reader)
  else skipRare(reader, opcode)
}

function skipRare(reader: BinaryReader, opcode: number): void {
  const kind = immediateOf[opcode]
  if (kind === immediate.bytes4) reader.skip(4)
  else if (kind === immediate.bytes8) reader.skip(8)
  else if (kind === immediate.heapType) skipHeapType(reader)
  else if (kind === immediate.types) reader.skip(reader.u32())
  else if (kind === immediate.brTable) for (let left = reader.u32() + 1; left > 0; left--) reader.skipLeb()
  else if (kind === immediate.misc) for (let left = miscImmediates(reader.u32()); left > 0; left--) reader.skipLeb()
  else if (kind === immediate.simd) skipSimd(reader)
  else throw refusal('unknown-opcode', 'the module uses an instruction that is not metered', { opcode })
}

function miscImmediates(code: number): number {
  const misc = miscOpcodes[code]
  if (misc === undefined)
    throw refusal('unknown-opcode', 'the module uses an instruction that is not metered', { code })
  return misc.immediates
}

function skipSimd(reader: BinaryReader): void {
  const kind = simdImmediateOf[reader.u32()]
  if (kind === simdImmediate.memory || kind === simdImmediate.memoryLane) {
    reader.skipLeb()
    reader.skipLeb()
  }
  if (kind === simdImmediate.lane || kind === simdImmediate.memoryLane) reader.skip(1)
  if (kind === simdImmediate.bytes16) reader.skip(16)
  if (kind === simdImmediate.unknown)
    throw refusal('unknown-opcode', 'the module uses an instruction that is not metered')
}

function skipBlockType(reader: BinaryReader): void {
  const byte = reader.peek()
  const single = byte === blockVoid || (byte >= valueType.v128 && byte <= valueType.i32)
  if (single || byte === valueType.funcref || byte === valueType.externref) reader.skip(1)
  else reader.skipLeb()
}

/** Passes over the rest of a block that was entered: to its `else`, if it has one and that is wanted, or its `end`. */
export function skipBlock(reader: BinaryReader, stopAtElse: boolean): number {
  for (let depth = 0; ; ) {
    const opcode = reader.byte()
    skipImmediates(reader, opcode)
    if (opcode === op.end && depth === 0) return opcode
    if (opcode === op.else && depth === 0 && stopAtElse) return opcode
    if (opcode === op.end) depth--
    if (immediateOf[opcode] === immediate.block) depth++
  }
}

/** A constant of type i32, as it stands behind its opcode. */
export function readI32(reader: BinaryReader): number {
  let value = 0
  for (let shift = 0; ; shift += 7) {
    const byte = reader.byte()
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) return shift < 25 && (byte & 0x40) !== 0 ? value | (-1 << (shift + 7)) : value
  }
}

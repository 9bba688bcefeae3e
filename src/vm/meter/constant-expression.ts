import type { BinaryReader } from './binary-reader.ts'
import { op, valueType } from './opcodes.ts'
import { refusal } from './refusal.ts'

interface ImportedGlobals {
  readonly importedGlobals: number
}

/**
 * Passes over one constant and its `end`. Only single constants, as in WebAssembly 2.0: Node 20 knows no others.
 *
 * @throws AoError `UNSUPPORTED_MODULE`
 */
export function skipConstant(reader: BinaryReader, facts: ImportedGlobals): void {
  const opcode = reader.byte()
  if (opcode === op.i32Const || opcode === op.i64Const || opcode === op.refFunc) reader.skipLeb()
  else if (opcode === op.f32Const) reader.skip(4)
  else if (opcode === op.f64Const) reader.skip(8)
  else if (opcode === op.globalGet) skipImportedGlobal(reader, facts)
  else if (opcode === op.refNull) skipHeapType(reader)
  else if (opcode === op.simd) skipVector(reader)
  else throw refusal('extended-const', 'an initial value is not a single constant', { opcode })
  if (reader.byte() !== op.end) throw refusal('extended-const', 'an initial value is computed')
}

/** @throws AoError `UNSUPPORTED_MODULE` for anything but `func` and `extern`. */
export function skipHeapType(reader: BinaryReader): void {
  const type = reader.byte()
  if (type === valueType.funcref || type === valueType.externref) return
  throw refusal('typed-references', 'the module uses typed references', { type })
}

function skipImportedGlobal(reader: BinaryReader, facts: ImportedGlobals): void {
  const index = reader.u32()
  if (index < facts.importedGlobals) return
  throw refusal('extended-const', 'an initial value is that of a global of the module itself', { index })
}

function skipVector(reader: BinaryReader): void {
  if (reader.u32() !== 12) throw refusal('extended-const', 'an initial value is computed')
  reader.skip(16)
}

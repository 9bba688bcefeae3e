import type { BinaryWriter } from './binary-writer.ts'
import { op, valueType } from './opcodes.ts'

/**
 * WebAssembly leaves the bits of a NaN that an operation makes to the machine: 0/0 is fff8… on x64 and 7ff8… on arm64.
 * After each operation that can make one the meter puts `x == x ? x : canonical`, so that all machines hold 7fc00000
 * and 7ff8000000000000. So it does with floats that the host returns and that go into globals. Constants, loads, `neg`, `abs`, `copysign`, `pmin` and `pmax` move bits as the standard says.
 */
export const nanKind = { none: 0, f32: 1, f64: 2, f32x4: 3, f64x2: 4 } as const

const fill = (table: Uint8Array, kind: number, ranges: readonly (readonly [first: number, last: number])[]): void => {
  for (const [first, last] of ranges) table.fill(kind, first, last + 1)
}

/** By first byte: which kind of NaN the instruction can make. */
export const nanOf = new Uint8Array(256)
fill(nanOf, nanKind.f32, [
  [0x8d, 0x97],
  [0xb6, 0xb6],
]) // ceil … max, demote
fill(nanOf, nanKind.f64, [
  [0x9b, 0xa5],
  [0xbb, 0xbb],
]) // ceil … max, promote

/** By the second number of a SIMD instruction: which kind of NaN it can make. */
export const simdNanOf = new Uint8Array(256)
fill(simdNanOf, nanKind.f32x4, [
  [0x5e, 0x5e],
  [0x67, 0x6a],
  [0xe3, 0xe9],
]) // demote, ceil … nearest, sqrt … max
fill(simdNanOf, nanKind.f64x2, [
  [0x5f, 0x5f],
  [0x74, 0x75],
  [0x7a, 0x7a],
  [0x94, 0x94],
  [0xef, 0xf5],
])

/**
 * By first byte: 1 where the bits of a NaN on top of the stack make no difference, because the instruction drops it,
 * compares it, makes an integer of it, or makes another NaN that is made canonical itself. Then nothing is put between.
 */
export const hidesNan = new Uint8Array(256)
fill(hidesNan, 1, [
  [0x1a, 0x1a],
  [0x5b, 0x66],
  [0xa8, 0xab],
  [0xae, 0xb1],
])
for (let code = 0; code < 256; code++) if (nanOf[code] !== nanKind.none) hidesNan[code] = 1

/** Value type of the local that each kind of `nanKind` needs. */
export const nanLocalType: readonly number[] = [0, valueType.f32, valueType.f64, valueType.v128, valueType.v128]

/** Which kind of NaN a scalar of this value type can be. */
export const nanKindOfType = (type: number | undefined): number =>
  type === valueType.f32 ? nanKind.f32 : type === valueType.f64 ? nanKind.f64 : nanKind.none

const f32Bits = [0x00, 0x00, 0xc0, 0x7f]
const f64Bits = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f]

// One for each kind: the constant, then what compares and chooses.
const constants: readonly (readonly number[])[] = [
  [],
  [op.f32Const, ...f32Bits],
  [op.f64Const, ...f64Bits],
  [op.simd, 12, ...f32Bits, ...f32Bits, ...f32Bits, ...f32Bits],
  [op.simd, 12, ...f64Bits, ...f64Bits],
]
const choices: readonly (readonly number[])[] = [
  [],
  [op.f32Eq, op.select],
  [op.f64Eq, op.select],
  [op.simd, 0x41, op.simd, 0x52], // f32x4.eq, v128.bitselect
  [op.simd, 0x47, op.simd, 0x52], // f64x2.eq, v128.bitselect
]

/** Stack: …, x. Leaves x, or the canonical NaN in its place. */
export function writeCanonicalNan(writer: BinaryWriter, kind: number, local: number): void {
  writer.byte(op.localTee)
  writer.u32(local)
  writer.bytes(...(constants[kind] ?? []))
  writer.byte(op.localGet)
  writer.u32(local)
  writer.byte(op.localGet)
  writer.u32(local)
  writer.bytes(...(choices[kind] ?? []))
}

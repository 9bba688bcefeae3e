/** What follows the second number of a 0xFD instruction. */
export const simdImmediate = { unknown: 0, none: 1, memory: 2, bytes16: 3, lane: 4, memoryLane: 5 } as const

type Row = readonly [first: number, last: number, immediate: number, height: number]

const { none, memory, bytes16, lane, memoryLane } = simdImmediate

// Only what the fixed-width SIMD proposal defines: the gaps between were used by drafts, and by engines that differ.
const rows: readonly Row[] = [
  [0x00, 0x0a, memory, 0],
  [0x0b, 0x0b, memory, -2],
  [0x0c, 0x0c, bytes16, 1],
  [0x0d, 0x0d, bytes16, -1],
  [0x0e, 0x0e, none, -1],
  [0x0f, 0x14, none, 0],
  [0x15, 0x16, lane, 0],
  [0x17, 0x17, lane, -1],
  [0x18, 0x19, lane, 0],
  [0x1a, 0x1a, lane, -1],
  [0x1b, 0x1b, lane, 0],
  [0x1c, 0x1c, lane, -1],
  [0x1d, 0x1d, lane, 0],
  [0x1e, 0x1e, lane, -1],
  [0x1f, 0x1f, lane, 0],
  [0x20, 0x20, lane, -1],
  [0x21, 0x21, lane, 0],
  [0x22, 0x22, lane, -1],
  [0x23, 0x4c, none, -1],
  [0x4d, 0x4d, none, 0],
  [0x4e, 0x51, none, -1],
  [0x52, 0x52, none, -2],
  [0x53, 0x53, none, 0],
  [0x54, 0x57, memoryLane, -1],
  [0x58, 0x5b, memoryLane, -2],
  [0x5c, 0x5d, memory, 0],
  [0x5e, 0x64, none, 0],
  [0x65, 0x66, none, -1],
  [0x67, 0x6a, none, 0],
  [0x6b, 0x73, none, -1],
  [0x74, 0x75, none, 0],
  [0x76, 0x79, none, -1],
  [0x7a, 0x7a, none, 0],
  [0x7b, 0x7b, none, -1],
  [0x7c, 0x81, none, 0],
  [0x82, 0x82, none, -1],
  [0x83, 0x84, none, 0],
  [0x85, 0x86, none, -1],
  [0x87, 0x8a, none, 0],
  [0x8b, 0x93, none, -1],
  [0x94, 0x94, none, 0],
  [0x95, 0x99, none, -1],
  [0x9b, 0x9f, none, -1],
  [0xa0, 0xa1, none, 0],
  [0xa3, 0xa4, none, 0],
  [0xa7, 0xaa, none, 0],
  [0xab, 0xae, none, -1],
  [0xb1, 0xb1, none, -1],
  [0xb5, 0xba, none, -1],
  [0xbc, 0xbf, none, -1],
  [0xc0, 0xc1, none, 0],
  [0xc3, 0xc4, none, 0],
  [0xc7, 0xca, none, 0],
  [0xcb, 0xce, none, -1],
  [0xd1, 0xd1, none, -1],
  [0xd5, 0xdf, none, -1],
  [0xe0, 0xe1, none, 0],
  [0xe3, 0xe3, none, 0],
  [0xe4, 0xeb, none, -1],
  [0xec, 0xed, none, 0],
  [0xef, 0xef, none, 0],
  [0xf0, 0xf7, none, -1],
  [0xf8, 0xff, none, 0],
]

/** By second number below 256: which of `simdImmediate` follows. */
export const simdImmediateOf = new Uint8Array(256)
/** By second number: the change of stack height, counted in values. */
export const simdHeightOf = new Int8Array(256)
for (const [first, last, kind, height] of rows) {
  simdImmediateOf.fill(kind, first, last + 1)
  simdHeightOf.fill(height, first, last + 1)
}

/** The first number of the relaxed SIMD instructions. */
export const firstRelaxed = 0x100

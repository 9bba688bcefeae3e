/** The opcodes that the meter writes or treats by name. */
export const op = {
  unreachable: 0x00,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  try: 0x06,
  catch: 0x07,
  throw: 0x08,
  end: 0x0b,
  brTable: 0x0e,
  call: 0x10,
  callIndirect: 0x11,
  returnCall: 0x12,
  returnCallIndirect: 0x13,
  delegate: 0x18,
  catchAll: 0x19,
  select: 0x1b,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  tableSet: 0x26,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i64Const: 0x42,
  f32Const: 0x43,
  f64Const: 0x44,
  i32GtU: 0x4b,
  i64LtS: 0x53,
  i64LtU: 0x54,
  f32Eq: 0x5b,
  f64Eq: 0x61,
  i32Add: 0x6a,
  i64Sub: 0x7d,
  i64Mul: 0x7e,
  i64ShrU: 0x88,
  i32WrapI64: 0xa7,
  i64ExtendI32U: 0xad,
  refNull: 0xd0,
  refFunc: 0xd2,
  misc: 0xfc,
  simd: 0xfd,
} as const

export const valueType = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
  funcref: 0x70,
  externref: 0x6f,
} as const
export const blockVoid = 0x40

/** What follows an opcode. `unknown` is zero, so that an opcode missing from the table is refused. */
export const immediate = {
  unknown: 0,
  none: 1,
  leb: 2,
  /** Alignment and offset. */
  memory: 3,
  block: 4,
  call: 5,
  callIndirect: 6,
  tag: 7,
  brTable: 8,
  bytes4: 9,
  bytes8: 10,
  types: 11,
  heapType: 12,
  misc: 13,
  simd: 14,
} as const

/** First and last opcode, what follows them, and what they do to the height of the operand stack. */
type Row = readonly [first: number, last: number, immediate: number, height: number]

// Calls, throws, `end` and their like change the height by what their types say: they stand here with 0.
const rows: readonly Row[] = [
  [0x00, 0x01, immediate.none, 0],
  [0x02, 0x03, immediate.block, 0],
  [0x04, 0x04, immediate.block, -1],
  [0x05, 0x05, immediate.none, 0],
  [0x06, 0x06, immediate.block, 0],
  [0x07, 0x08, immediate.tag, 0],
  [0x09, 0x09, immediate.leb, 0],
  [0x0b, 0x0b, immediate.none, 0],
  [0x0c, 0x0c, immediate.leb, 0],
  [0x0d, 0x0d, immediate.leb, -1],
  [0x0e, 0x0e, immediate.brTable, -1],
  [0x0f, 0x0f, immediate.none, 0],
  [0x10, 0x10, immediate.call, 0],
  [0x11, 0x11, immediate.callIndirect, -1],
  [0x12, 0x12, immediate.call, 0],
  [0x13, 0x13, immediate.callIndirect, -1],
  [0x18, 0x18, immediate.leb, 0],
  [0x19, 0x19, immediate.none, 0],
  [0x1a, 0x1a, immediate.none, -1],
  [0x1b, 0x1b, immediate.none, -2],
  [0x1c, 0x1c, immediate.types, -2],
  [0x20, 0x20, immediate.leb, 1],
  [0x21, 0x21, immediate.leb, -1],
  [0x22, 0x22, immediate.leb, 0],
  [0x23, 0x23, immediate.leb, 1],
  [0x24, 0x24, immediate.leb, -1],
  [0x25, 0x25, immediate.leb, 0],
  [0x26, 0x26, immediate.leb, -2],
  [0x28, 0x35, immediate.memory, 0],
  [0x36, 0x3e, immediate.memory, -2],
  [0x3f, 0x3f, immediate.leb, 1],
  [0x40, 0x40, immediate.leb, 0],
  [0x41, 0x42, immediate.leb, 1],
  [0x43, 0x43, immediate.bytes4, 1],
  [0x44, 0x44, immediate.bytes8, 1],
  [0x45, 0x45, immediate.none, 0],
  [0x46, 0x4f, immediate.none, -1],
  [0x50, 0x50, immediate.none, 0],
  [0x51, 0x66, immediate.none, -1],
  [0x67, 0x69, immediate.none, 0],
  [0x6a, 0x78, immediate.none, -1],
  [0x79, 0x7b, immediate.none, 0],
  [0x7c, 0x8a, immediate.none, -1],
  [0x8b, 0x91, immediate.none, 0],
  [0x92, 0x98, immediate.none, -1],
  [0x99, 0x9f, immediate.none, 0],
  [0xa0, 0xa6, immediate.none, -1],
  [0xa7, 0xc4, immediate.none, 0],
  [0xd0, 0xd0, immediate.heapType, 1],
  [0xd1, 0xd1, immediate.none, 0],
  [0xd2, 0xd2, immediate.leb, 1],
  [0xfc, 0xfc, immediate.misc, 0],
  [0xfd, 0xfd, immediate.simd, 0],
]

/** By first byte: which of `immediate` follows. */
export const immediateOf = new Uint8Array(256)
/** By first byte: the change of stack height, where it is the same each time. */
export const heightOf = new Int8Array(256)
for (const [first, last, kind, height] of rows) {
  immediateOf.fill(kind, first, last + 1)
  heightOf.fill(height, first, last + 1)
}

/**
 * By first byte: 1 where a straight run of code ends, because control may go elsewhere or come from elsewhere.
 * For the opcodes that `@permaweb/wasm-metering` knows they are its own, or the sums would differ.
 */
export const endsRun = new Uint8Array(256)
for (const code of [0x03, 0x04, 0x05, 0x07, 0x08, 0x09, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x12, 0x13, 0x18, 0x19, 0x40]) {
  endsRun[code] = 1
}

import { op } from './opcodes.ts'

/**
 * What instructions cost. A table is consensus: the same numbers on every node for as long as Processes run under it.
 */
export interface PriceTable {
  /** The meter version, part of what a Module's results mean: a new price or a new insertion needs a new one. */
  readonly identity: 'legacy-1' | 'gas-1'
  /** By the first byte of the instruction; 0xFC and 0xFD hold one price for all behind them. */
  readonly opcodes: readonly number[]
  /** Added to each run of code that costs anything: the price of paying. */
  readonly perRun: number
  /** For each full 64 bytes that a bulk memory instruction is asked to touch. */
  readonly per64Bytes: number
  /** For each entry that a bulk table instruction is asked to touch. */
  readonly perTableEntry: number
  /** For each page that `memory.grow` asks for. */
  readonly perPage: number
}

type Price = readonly [codes: readonly number[], price: number]

const range = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i)
const integer = (first: number, last: number): number[] => [
  ...range(0x6a + first, 0x6a + last),
  ...range(0x7c + first, 0x7c + last),
]

function pricesByOpcode(otherwise: number, prices: readonly Price[]): readonly number[] {
  const table = Array.from({ length: 256 }, () => otherwise)
  for (const [codes, price] of prices) for (const code of codes) table[code] = price
  return Object.freeze(table)
}

/**
 * The prices of `@permaweb/wasm-metering`, number for number, zeros included: most float operators, conversions and
 * sign extensions are free there. The last block prices what that package cannot read at all.
 */
export const legacyPrices: PriceTable = Object.freeze({
  identity: 'legacy-1',
  opcodes: pricesByOpcode(0, [
    [range(0x00, 0x04), 1], // unreachable, nop, block, loop, if
    [[0x05, 0x0c, 0x0d, 0x0f, 0x10], 90], // else, br, br_if, return, call
    [[0x0e, 0x1a, 0x1b], 120], // br_table, drop, select
    [[op.callIndirect, op.memoryGrow], 10_000],
    [range(0x20, 0x24), 120], // locals, globals
    [range(0x28, 0x3e), 120], // loads, stores
    [[0x3f], 100], // memory.size
    [range(0x41, 0x44), 1], // constants
    [range(0x45, 0x5c), 45], // integer comparisons; f32.eq, ne
    [[0x61, 0x62], 45], // f64.eq, ne
    [[...range(0x67, 0x69), ...range(0x79, 0x7b)], 45], // clz, ctz, popcnt
    [integer(0, 2), 45], // add, sub, mul
    [integer(3, 6), 36_000], // div, rem
    [integer(7, 9), 45], // and, or, xor
    [integer(10, 12), 67], // shifts
    [integer(13, 14), 90], // rotations
    [[...range(0x92, 0x94), ...range(0xa0, 0xa2)], 45], // float add, sub, mul
    [[0x12], 90],
    [[0x13], 10_000],
    [[0x08, 0x09], 60_000], // throw, rethrow
    [[0x1c, 0x25, 0x26, op.misc, op.simd], 120],
    [[0xd0, 0xd1, 0xd2], 45],
  ]),
  perRun: 91,
  per64Bytes: 120,
  perTableEntry: 120,
  // The package asks the same for any number of pages.
  perPage: 0,
})

/** Our own prices: near measured time, and none zero but for what compiles to nothing. */
export const gas1Prices: PriceTable = Object.freeze({
  identity: 'gas-1',
  opcodes: pricesByOpcode(10, [
    [[0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x0b, 0x18, 0x19], 0], // nop and the marks of blocks
    [[0x08, 0x09], 5_000], // throw, rethrow
    [[0x0e], 30], // br_table
    [[0x10, 0x12], 40], // calls
    [[0x11, 0x13], 60], // indirect calls
    [[0x1a], 1], // drop
    [range(0x20, 0x24), 4], // locals, globals
    // Up to a millisecond where the memory is large: the engine makes a new buffer, and collects the old ones.
    [[op.memoryGrow], 2_000_000],
    [[0x25], 30], // table.get
    [[op.tableSet], 300],
    [range(0x41, 0x44), 2], // constants
    [integer(3, 6), 80], // div, rem
    [[0x91, 0x95, 0x9f, 0xa3], 80], // float sqrt, div
    [[...range(0xa8, 0xab), ...range(0xae, 0xb1)], 30], // float to integer
    [[op.misc, op.simd], 30],
  ]),
  perRun: 10,
  per64Bytes: 30,
  perTableEntry: 200,
  // What filling the page costs: the host has to zero it.
  perPage: 30_720,
})

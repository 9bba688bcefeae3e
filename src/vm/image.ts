import { type Id, idFromBytes } from '../protocol/ids.ts'
import { equal, hashBytes, ImagePage, sha256 } from './image-page.ts'
import type { StateGlobal } from './machine.ts'
import { pageBytes } from './wasm-binary.ts'

/** What a Process's state consists of. */
export interface State {
  readonly memory: WebAssembly.Memory
  readonly globals: readonly StateGlobal[]
}

/**
 * A copy of a state: the length of the memory, the pages of it that are not zero, and the mutable globals.
 *
 * `root` commits to it: SHA-256 over u64(length), u32(number of globals), u64(each global), and for each page that is
 * not zero, ascending, u32(index) and the hash of the `ImagePage`; integers big-endian.
 */
export class Image {
  #memoryBytes = 0
  #pages: ReadonlyMap<number, ImagePage> = new Map()
  #globals: readonly bigint[] = []
  #root: Id

  constructor(state: State) {
    this.#root = this.#capture(state)
  }

  get root(): Id {
    return this.#root
  }

  get memoryBytes(): number {
    return this.#memoryBytes
  }

  /** Makes the image equal to the state. Costs a scan of the memory, and a copy and a hash of the blocks that differ. */
  capture(state: State): void {
    this.#root = this.#capture(state)
  }

  /** Makes a state of the same memory length equal to the image. */
  restore({ memory, globals }: State): void {
    const bytes = view(memory)
    if (bytes.length !== this.#memoryBytes) throw new TypeError('an image fits only a memory of its own length')
    for (const index of nonZeroPages(bytes, this.#pages.keys())) {
      if (!this.#pages.has(index)) bytes.fill(0, index * pageBytes, (index + 1) * pageBytes)
    }
    for (const [index, page] of this.#pages) page.restore(bytes, index * pageBytes)
    for (const [i, entry] of globals.entries()) setBits(entry, this.#globals[i] ?? 0n)
  }

  #capture({ memory, globals }: State): Id {
    const bytes = view(memory)
    const pages = new Map<number, ImagePage>()
    for (const index of nonZeroPages(bytes, this.#pages.keys())) {
      const page = this.#pages.get(index) ?? new ImagePage()
      page.capture(bytes, index * pageBytes)
      pages.set(index, page)
    }
    this.#memoryBytes = bytes.length
    this.#pages = pages
    this.#globals = globals.map(bitsOf)
    return rootOf(bytes.length, pages, this.#globals)
  }
}

function rootOf(memoryBytes: number, pages: ReadonlyMap<number, ImagePage>, globals: readonly bigint[]): Id {
  const text = Buffer.alloc(12 + globals.length * 8 + pages.size * (4 + hashBytes))
  let at = text.writeBigUInt64BE(BigInt(memoryBytes))
  at = text.writeUInt32BE(globals.length, at)
  for (const value of globals) at = text.writeBigUInt64BE(value, at)
  for (const [index, page] of pages) {
    at = text.writeUInt32BE(index, at)
    at += page.hash.copy(text, at)
  }
  return idFromBytes(sha256(text))
}

/** A global's value as 64 bits; floats by their own bits. */
function bitsOf({ type, global }: StateGlobal): bigint {
  if (type === 'i64' || type === 'i32') return BigInt.asUintN(64, BigInt(global.value))
  scratch.setFloat64(0, global.value as number)
  return scratch.getBigUint64(0)
}

function setBits({ type, global }: StateGlobal, bits: bigint): void {
  scratch.setBigUint64(0, bits)
  if (type === 'i64') global.value = BigInt.asIntN(64, bits)
  else global.value = type === 'i32' ? Number(BigInt.asIntN(32, bits)) : scratch.getFloat64(0)
}

const scratch = new DataView(new ArrayBuffer(8))

const view = (memory: WebAssembly.Memory): Buffer => Buffer.from(memory.buffer as ArrayBuffer)

/** How much is compared with zero at a time. Never written, so the kernel backs all of it with one page, kept in cache. */
const zeros = Buffer.alloc(1 << 20)

/** Indices of pages that are not zero, ascending. Pages that are `expected` are looked at one by one, the rest in bulk. */
function* nonZeroPages(bytes: Buffer, expected: Iterable<number>): Generator<number> {
  let next = 0
  for (const index of expected) {
    yield* nonZeroBetween(bytes, next, index)
    next = index + 1
    if (!isZero(bytes, index, next)) yield index
  }
  yield* nonZeroBetween(bytes, next, bytes.length / pageBytes)
}

function* nonZeroBetween(bytes: Buffer, from: number, to: number): Generator<number> {
  const stride = zeros.length / pageBytes
  for (let start = from; start < to; start += stride) {
    const end = Math.min(to, start + stride)
    if (isZero(bytes, start, end)) continue
    for (let index = start; index < end; index++) if (!isZero(bytes, index, index + 1)) yield index
  }
}

const isZero = (bytes: Buffer, from: number, to: number): boolean =>
  equal(bytes, from * pageBytes, zeros, 0, (to - from) * pageBytes)

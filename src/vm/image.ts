import { createHash } from 'node:crypto'
import { sha256 } from '../lib/bytes.ts'
import { type Id, idFromBytes } from '../protocol/ids.ts'
import { pageBytes } from './wasm-binary.ts'

/** 64 KiB of memory, never written again, so images share it. */
export interface Page {
  readonly bytes: Uint8Array
  readonly hash: Uint8Array
}

/** All the state of a Process: its memory, which is zero but for `pages`, and its mutable globals. */
export interface Image {
  readonly memoryBytes: number
  /** By page index, ascending. */
  readonly pages: ReadonlyMap<number, Page>
  readonly globals: readonly bigint[]
  /** SHA-256 over the memory's length, the globals, and index and SHA-256 of each page that is not zero. */
  readonly root: Id
}

export interface State {
  readonly memory: WebAssembly.Memory
  readonly globals: readonly WebAssembly.Global[]
}

/**
 * Copies the state. Pages that are as in `previous` are shared with it, hash included: the cost is a scan of the memory
 * and a copy of what changed.
 */
export function takeImage({ memory, globals }: State, previous?: Image): Image {
  const bytes = view(memory)
  const pages = new Map<number, Page>()
  for (const index of nonZeroPages(bytes, previous)) {
    const known = previous?.pages.get(index)
    pages.set(index, known !== undefined && holds(bytes, index, known) ? known : newPage(bytes, index))
  }
  const values = globals.map(global => BigInt.asUintN(64, BigInt(global.value)))
  return { memoryBytes: bytes.length, pages, globals: values, root: rootOf(bytes.length, pages, values) }
}

/** Makes a state of the same memory length equal to the image. */
export function restoreImage({ memory, globals }: State, image: Image): void {
  const bytes = view(memory)
  if (bytes.length !== image.memoryBytes) throw new TypeError('an image fits only a memory of its own length')
  for (const index of nonZeroPages(bytes, image)) {
    if (!image.pages.has(index)) bytes.fill(0, index * pageBytes, (index + 1) * pageBytes)
  }
  for (const [index, page] of image.pages) {
    if (!holds(bytes, index, page)) bytes.set(page.bytes, index * pageBytes)
  }
  for (const [i, global] of globals.entries()) {
    const value = image.globals[i] ?? 0n
    global.value = typeof global.value === 'bigint' ? BigInt.asIntN(64, value) : Number(BigInt.asIntN(32, value))
  }
}

const view = (memory: WebAssembly.Memory): Buffer => Buffer.from(memory.buffer as ArrayBuffer)

/** How much is compared with zero at a time. Never written, so the kernel backs all of it with one page, kept in cache. */
const zeros = Buffer.alloc(1 << 20)

/** Indices of pages that are not zero, ascending. Pages of `expected` are looked at one by one, those between in bulk. */
function* nonZeroPages(bytes: Buffer, expected?: Image): Generator<number> {
  let next = 0
  for (const index of expected?.pages.keys() ?? []) {
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
  zeros.compare(bytes, from * pageBytes, to * pageBytes, 0, (to - from) * pageBytes) === 0

const holds = (bytes: Buffer, index: number, page: Page): boolean =>
  bytes.compare(page.bytes, 0, pageBytes, index * pageBytes, (index + 1) * pageBytes) === 0

function newPage(bytes: Buffer, index: number): Page {
  const copy = Buffer.from(bytes.subarray(index * pageBytes, (index + 1) * pageBytes))
  return { bytes: copy, hash: createHash('sha256').update(copy).digest() }
}

function rootOf(memoryBytes: number, pages: ReadonlyMap<number, Page>, globals: readonly bigint[]): Id {
  const text = Buffer.alloc(12 + globals.length * 8 + pages.size * 36)
  let at = text.writeBigUInt64BE(BigInt(memoryBytes))
  at = text.writeUInt32BE(globals.length, at)
  for (const value of globals) at = text.writeBigUInt64BE(value, at)
  for (const [index, { hash }] of pages) {
    at = text.writeUInt32BE(index, at)
    text.set(hash, at)
    at += hash.length
  }
  return idFromBytes(sha256(text))
}

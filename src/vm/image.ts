import { AoError } from '../lib/errors.ts'
import type { VmImage, VmPage } from '../ports/vm.ts'
import { type Id, idFromBytes } from '../protocol/ids.ts'
import { stateRootOf } from '../protocol/state-root.ts'
import { ImagePage } from './image-page.ts'
import type { StateGlobal } from './machine.ts'
import { pageBytes } from './wasm-binary.ts'

/** What a Process's state consists of. */
export interface State {
  readonly memory: WebAssembly.Memory
  readonly globals: readonly StateGlobal[]
}

/**
 * A copy of a state: the length of the memory, the pages of it that are not zero, and the mutable globals. `root`
 * commits to it: `stateRootOf`.
 */
export class Image {
  #memoryBytes = 0
  #pages: ReadonlyMap<number, ImagePage> = new Map()
  #globals: readonly bigint[] = []
  #root: Id | undefined

  /** @param pages the only ones that may be other than zero, ascending; absent: all may. */
  constructor(state: State, pages?: readonly VmPage[]) {
    const bytes = view(state.memory)
    this.#take(state, pages === undefined ? nonZeroPages(bytes, []) : nonZeroOf(bytes, pages))
  }

  /** Costs a hash of each block that changed since it was asked for last. */
  get root(): Id {
    this.#root ??= stateRootOf({
      ...{ memoryBytes: this.#memoryBytes, globals: this.#globals },
      pages: hashesOf(this.#pages),
    })
    return this.#root
  }

  /** Pages that are not zero. */
  get pageCount(): number {
    return this.#pages.size
  }

  get memoryBytes(): number {
    return this.#memoryBytes
  }

  /** Makes the image equal to the state. Costs a scan of the memory, and a copy of the blocks that differ. */
  capture(state: State): void {
    this.#take(state, nonZeroPages(view(state.memory), this.#pages.keys()))
  }

  #take({ memory, globals }: State, nonZero: Iterable<number>): void {
    const bytes = view(memory)
    const pages = new Map<number, ImagePage>()
    for (const index of nonZero) {
      const page = this.#pages.get(index) ?? new ImagePage()
      page.capture(bytes, index * pageBytes)
      pages.set(index, page)
    }
    for (const [index, page] of this.#pages) if (!pages.has(index)) page.release()
    this.#memoryBytes = bytes.length
    this.#pages = pages
    this.#globals = globals.map(bitsOf)
    this.#root = undefined
  }

  /** The image is of no more use: what only it held is free. */
  release(): void {
    for (const page of this.#pages.values()) page.release()
  }

  /** Bytes that this image takes up, those it shares in parts. */
  get ownBytes(): number {
    let bytes = 0
    for (const page of this.#pages.values()) bytes += page.ownBytes
    return bytes
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

  /** The image by value, its pages in one buffer of their own. */
  copy(): Pick<VmImage, 'memoryBytes' | 'globals' | 'pages' | 'stateRoot'> {
    const buffer = new ArrayBuffer(this.#pages.size * pageBytes)
    const pages: VmPage[] = []
    for (const [index, page] of this.#pages) {
      const bytes = new Uint8Array(buffer, pages.length * pageBytes, pageBytes)
      page.restore(Buffer.from(buffer), pages.length * pageBytes)
      pages.push({ index, hash: idFromBytes(page.hash), bytes })
    }
    return { memoryBytes: this.#memoryBytes, globals: this.#globals, pages, stateRoot: this.root }
  }
}

function* hashesOf(pages: ReadonlyMap<number, ImagePage>): Generator<readonly [number, Uint8Array]> {
  for (const [index, { hash }] of pages) yield [index, hash]
}

/**
 * Makes the state of a fresh instance, grown to the image's length, equal to an image from elsewhere.
 *
 * @throws AoError `STORE_CORRUPT` if the image does not fit. Whether it is what its root says, its capture will tell.
 */
export function applyImage({ memory, globals }: State, image: VmImage): void {
  const bytes = view(memory)
  const last = image.pages.at(-1)?.index ?? 0
  if (
    bytes.length !== image.memoryBytes ||
    globals.length !== image.globals.length ||
    last * pageBytes >= bytes.length
  ) {
    throw notThisState('the image is not of this module')
  }
  const kept = new Set(image.pages.map(({ index }) => index))
  for (const index of nonZeroPages(bytes, [])) {
    if (!kept.has(index)) bytes.fill(0, index * pageBytes, (index + 1) * pageBytes)
  }
  for (const { index, bytes: page } of image.pages) bytes.set(page, index * pageBytes)
  for (const [i, entry] of globals.entries()) setBits(entry, image.globals[i] ?? 0n)
}

/** Bytes of the pages that are not zero. Costs a scan of the memory. */
export function filledBytes(memory: WebAssembly.Memory): number {
  let bytes = 0
  for (const _ of nonZeroPages(view(memory), [])) bytes += pageBytes
  return bytes
}

export const notThisState = (message: string): AoError =>
  new AoError('STORE_CORRUPT', message, {}, { hint: 'Open the Process from an older image, or replay its schedule.' })

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
const zeros = Buffer.alloc(256 << 10)

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

function* nonZeroOf(bytes: Buffer, pages: readonly VmPage[]): Generator<number> {
  for (const { index } of pages) if (!isZero(bytes, index, index + 1)) yield index
}

function* nonZeroBetween(bytes: Buffer, from: number, to: number): Generator<number> {
  const stride = zeros.length / pageBytes
  for (let start = from; start < to; start += stride) {
    const end = Math.min(to, start + stride)
    if (isZero(bytes, start, end)) continue
    for (let index = start; index < end; index++) if (!isZero(bytes, index, index + 1)) yield index
  }
}

const equal = (a: Buffer, aStart: number, b: Buffer, bStart: number, length: number): boolean =>
  b.compare(a, aStart, aStart + length, bStart, bStart + length) === 0

const isZero = (bytes: Buffer, from: number, to: number): boolean =>
  equal(bytes, from * pageBytes, zeros, 0, (to - from) * pageBytes)

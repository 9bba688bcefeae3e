import { hash } from 'node:crypto'
import { pageBytes } from './wasm-binary.ts'

export const hashBytes = 32
const blockBytes = 1024
const blockCount = pageBytes / blockBytes

/**
 * A copy of one page of memory and its hash: SHA-256 over the SHA-256 of each of its 64 blocks.
 *
 * Blocks make the hash cheap to keep: a message changes most pages of an aos Process, but few blocks in them. Two copies
 * of each block make it cheaper: aos collects garbage at the end of every message, which flips the mark of all that
 * lives, so that most blocks that differ from the last state are those of the state before it.
 */
export class ImagePage {
  readonly #copies: [Buffer, Buffer] = [zeroPage, zeroPage]
  readonly #hashes: readonly [Buffer, Buffer] = [Buffer.from(zeroHashes), Buffer.from(zeroHashes)]
  /** Which of the two copies of each block is the newest. */
  readonly #newest = new Uint8Array(blockCount)
  /** The hashes of the newest copies, one after the other. */
  readonly #blocks = Buffer.from(zeroHashes)
  /** Whether all blocks have their newest copy in the same place, so that they can be compared at once. */
  #whole = false
  #hash = sha256(zeroHashes)

  get hash(): Buffer {
    return this.#hash
  }

  /** Takes over the page at `start` of a memory. */
  capture(memory: Buffer, start: number): void {
    if (this.#whole && equal(memory, start, this.#copies[1], 0, pageBytes)) return
    let changed = false
    for (let block = 0; block < blockCount; block++) {
      if (this.#holds(memory, start, block, this.#newestOf(block))) continue
      changed = true
      this.#take(memory, start, block)
    }
    if (changed) this.#hash = sha256(this.#blocks)
    this.#whole = this.#newest.every(copy => copy === 1)
  }

  /** Writes the page to `start` of a memory, where that differs. */
  restore(memory: Buffer, start: number): void {
    for (let block = 0; block < blockCount; block++) {
      const copy = this.#newestOf(block)
      if (this.#holds(memory, start, block, copy)) continue
      const at = block * blockBytes
      this.#copies[copy].copy(memory, start + at, at, at + blockBytes)
    }
  }

  #take(memory: Buffer, start: number, block: number): void {
    const copy = this.#newestOf(block) === 0 ? 1 : 0
    if (!this.#holds(memory, start, block, copy)) this.#overwrite(memory, start, block, copy)
    this.#newest[block] = copy
    const at = block * hashBytes
    this.#hashes[copy].copy(this.#blocks, at, at, at + hashBytes)
  }

  #overwrite(memory: Buffer, start: number, block: number, copy: 0 | 1): void {
    if (this.#copies[copy] === zeroPage) this.#copies[copy] = Buffer.alloc(pageBytes)
    const at = block * blockBytes
    const target = this.#copies[copy].subarray(at, at + blockBytes)
    memory.copy(target, 0, start + at, start + at + blockBytes)
    this.#hashes[copy].set(sha256(target), block * hashBytes)
  }

  #newestOf(block: number): 0 | 1 {
    return this.#newest[block] === 1 ? 1 : 0
  }

  #holds(memory: Buffer, start: number, block: number, copy: 0 | 1): boolean {
    const at = block * blockBytes
    return equal(memory, start + at, this.#copies[copy], at, blockBytes)
  }
}

export const sha256 = (bytes: Buffer): Buffer => hash('sha256', bytes, 'buffer')

export const equal = (a: Buffer, aStart: number, b: Buffer, bStart: number, length: number): boolean =>
  b.compare(a, aStart, aStart + length, bStart, bStart + length) === 0

/** Stands for a copy that has not been written yet; never written itself. */
const zeroPage = Buffer.alloc(pageBytes)
const zeroHashes = Buffer.alloc(blockCount * hashBytes, sha256(Buffer.alloc(blockBytes)))

import { hash } from 'node:crypto'
import { pageBytes } from './wasm-binary.ts'

export const hashBytes = 32
const blockBytes = 1024
const blockCount = pageBytes / blockBytes

/**
 * A copy of one page of memory and its hash: SHA-256 over the SHA-256 of each of its 64 blocks.
 *
 * Blocks make the hash cheap to keep: a message changes most pages of an aos Process, but few blocks in them. They are
 * hashed only when somebody asks.
 */
export class ImagePage {
  readonly #copy = Buffer.alloc(pageBytes)
  /** The hashes of the blocks, one after the other, but for those that are stale. */
  readonly #hashes = Buffer.from(zeroHashes)
  readonly #stale = new Uint8Array(blockCount)
  #hash: Buffer | undefined = zeroHash

  get hash(): Buffer {
    this.#hash ??= this.#rehash()
    return this.#hash
  }

  /** Takes over the page at `start` of a memory. */
  capture(memory: Buffer, start: number): void {
    if (equal(memory, start, this.#copy, 0, pageBytes)) return
    for (let at = 0; at < pageBytes; at += blockBytes) {
      if (equal(memory, start + at, this.#copy, at, blockBytes)) continue
      memory.copy(this.#copy, at, start + at, start + at + blockBytes)
      this.#stale[at / blockBytes] = 1
    }
    this.#hash = undefined
  }

  /** Writes the page to `start` of a memory, where that differs. */
  restore(memory: Buffer, start: number): void {
    if (equal(memory, start, this.#copy, 0, pageBytes)) return
    for (let at = 0; at < pageBytes; at += blockBytes) {
      if (!equal(memory, start + at, this.#copy, at, blockBytes))
        this.#copy.copy(memory, start + at, at, at + blockBytes)
    }
  }

  #rehash(): Buffer {
    for (let block = 0; block < blockCount; block++) {
      if (this.#stale[block] === 0) continue
      const bytes = this.#copy.subarray(block * blockBytes, (block + 1) * blockBytes)
      sha256(bytes).copy(this.#hashes, block * hashBytes)
    }
    this.#stale.fill(0)
    return sha256(this.#hashes)
  }
}

export const sha256 = (bytes: Buffer): Buffer => hash('sha256', bytes, 'buffer')

export const equal = (a: Buffer, aStart: number, b: Buffer, bStart: number, length: number): boolean =>
  b.compare(a, aStart, aStart + length, bStart, bStart + length) === 0

const zeroHashes = Buffer.alloc(blockCount * hashBytes, sha256(Buffer.alloc(blockBytes)))
const zeroHash = sha256(zeroHashes)

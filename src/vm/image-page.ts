import { stateHashBytes } from '../protocol/state-root.ts'
import { type Block, blockBytes, copyOf, release, sha256, share, zeroBlock } from './block.ts'
import { pageBytes } from './wasm-binary.ts'

const blocksPerPage = pageBytes / blockBytes

/**
 * A copy of one page of memory, in blocks that images of one thread share, and its hash: `pageHash`.
 *
 * A block is hashed, and found to be shared, only when somebody asks for the hash of the page.
 */
export class ImagePage {
  readonly #blocks: Block[] = Array.from({ length: blocksPerPage }, () => zeroBlock)
  #hash: Buffer | undefined

  get hash(): Buffer {
    this.#hash ??= this.#rehash()
    return this.#hash
  }

  /** Takes over the page at `start` of a memory. */
  capture(memory: Buffer, start: number): void {
    for (const [i, block] of this.#blocks.entries()) {
      const at = start + i * blockBytes
      if (holds(memory, at, block)) continue
      release(block)
      this.#blocks[i] = copyOf(memory, at)
      this.#hash = undefined
    }
  }

  /** Writes the page to `start` of a memory, where that differs. */
  restore(memory: Buffer, start: number): void {
    for (const [i, block] of this.#blocks.entries()) {
      const at = start + i * blockBytes
      if (!holds(memory, at, block)) block.bytes.copy(memory, at)
    }
  }

  get ownBytes(): number {
    return this.#blocks.reduce((sum, block) => (block === zeroBlock ? sum : sum + blockBytes / block.places), 0)
  }

  /** The page is of no more use: what only it held is free. */
  release(): void {
    for (const block of this.#blocks) release(block)
    this.#blocks.fill(zeroBlock)
    this.#hash = undefined
  }

  #rehash(): Buffer {
    const hashes = Buffer.allocUnsafe(hashesBytes)
    for (const [i, block] of this.#blocks.entries()) {
      const same = share(block)
      this.#blocks[i] = same
      same.hashes?.copy(hashes, (i * hashesBytes) / blocksPerPage)
    }
    return sha256(hashes)
  }
}

/** Of all hashes of a page, one for each KiB. */
const hashesBytes = (pageBytes / 1024) * stateHashBytes

const holds = (memory: Buffer, start: number, { bytes }: Block): boolean =>
  bytes.compare(memory, start, start + blockBytes) === 0

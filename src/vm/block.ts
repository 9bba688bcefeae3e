import { hash } from 'node:crypto'
import { stateBlockBytes, stateHashBytes } from '../protocol/state-root.ts'

/** Bytes of memory that images share at a time: most blocks of one aos Process are those of another. */
export const blockBytes = 4096
const hashesPerBlock = blockBytes / stateBlockBytes

/** Some bytes of an image that never change again, and how many places in images of this thread they stand in. */
export interface Block {
  readonly bytes: Buffer
  /** SHA-256 of each of its KiB, one after the other; undefined until somebody asks. */
  hashes: Buffer | undefined
  places: number
}

const zeroBytes = Buffer.alloc(blockBytes)
export const zeroBlock: Block = { bytes: zeroBytes, hashes: hashesOf(zeroBytes), places: 1 }

/** The hashed blocks of all images of this thread. Holds what an image holds and nothing else. */
const shared = new Map<string, Block>()

/** Bytes of memory that the blocks of this thread's images take up, shared ones counted once. */
export const sharedBytes = (): number => shared.size * blockBytes

/** A block of this thread with the same bytes, hashed; takes the place of one place of `block`. */
export function share(block: Block): Block {
  if (block.hashes !== undefined) return block
  block.hashes = hashesOf(block.bytes)
  if (block.bytes.equals(zeroBytes)) return zeroBlock
  const key = block.hashes.toString('latin1')
  const known = shared.get(key)
  if (known === undefined) {
    shared.set(key, block)
    return block
  }
  known.places++
  return known
}

/** One place less. */
export function release(block: Block): void {
  if (block === zeroBlock || --block.places > 0 || block.hashes === undefined) return
  const key = block.hashes.toString('latin1')
  if (shared.get(key) === block) shared.delete(key)
}

export const copyOf = (memory: Buffer, start: number): Block => ({
  bytes: Buffer.from(memory.subarray(start, start + blockBytes)),
  hashes: undefined,
  places: 1,
})

export function sha256(bytes: Buffer): Buffer {
  return hash('sha256', bytes, 'buffer')
}

function hashesOf(bytes: Buffer): Buffer {
  const hashes = Buffer.allocUnsafeSlow(hashesPerBlock * stateHashBytes)
  for (let i = 0; i < hashesPerBlock; i++) {
    sha256(bytes.subarray(i * stateBlockBytes, (i + 1) * stateBlockBytes)).copy(hashes, i * stateHashBytes)
  }
  return hashes
}

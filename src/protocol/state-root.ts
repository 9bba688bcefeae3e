import { hash } from 'node:crypto'
import { type Id, idFromBytes } from './ids.ts'

/** Bytes of one page of Wasm memory. */
export const statePageBytes = 65_536
/** Bytes hashed at a time: small, so that little is hashed again after a small change. */
export const stateBlockBytes = 1024
export const stateHashBytes = 32

/** What a state root commits to. `pages`: those that are not zero, by ascending index, with their `pageHash`. */
export interface StateParts {
  readonly memoryBytes: number
  /** Each mutable global as 64 bits. */
  readonly globals: readonly bigint[]
  readonly pages: Iterable<readonly [index: number, hash: Uint8Array]>
}

/** SHA-256 over u64(length), u32(number of globals), u64(each global), and for each page u32(index) and its hash; big-endian. */
export function stateRootOf({ memoryBytes, globals, pages }: StateParts): Id {
  const head = Buffer.alloc(12 + globals.length * 8)
  let at = head.writeBigUInt64BE(BigInt(memoryBytes))
  at = head.writeUInt32BE(globals.length, at)
  for (const value of globals) at = head.writeBigUInt64BE(value, at)
  const rows = [...pages]
  const table = Buffer.alloc(rows.length * (4 + stateHashBytes))
  let row = 0
  for (const [index, pageHash] of rows) {
    row = table.writeUInt32BE(index, row)
    table.set(pageHash, row)
    row += stateHashBytes
  }
  return idFromBytes(hashOf(Buffer.concat([head, table])))
}

/** SHA-256 over the SHA-256 of each block of a page. */
export function pageHash(page: Uint8Array): Buffer {
  const hashes = Buffer.alloc((statePageBytes / stateBlockBytes) * stateHashBytes)
  for (let block = 0; block * stateBlockBytes < statePageBytes; block++) {
    const at = block * stateBlockBytes
    hashes.set(hashOf(page.subarray(at, at + stateBlockBytes)), block * stateHashBytes)
  }
  return hashOf(hashes)
}

const hashOf = (bytes: Uint8Array): Buffer => hash('sha256', bytes, 'buffer')

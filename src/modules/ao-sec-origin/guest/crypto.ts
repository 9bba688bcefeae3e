// What `src/lib` and `src/protocol` use of node:crypto for hashing, in plain JavaScript; as guest/buffer.ts.
import { sha256, sha384 } from '@noble/hashes/sha2.js'
import { GuestBuffer } from './buffer.ts'

type Algorithm = 'sha256' | 'sha384'
const hashes = { sha256, sha384 } as const

/** `buffer`: the bytes. `binary`, as Node calls it: one character a byte. */
export function hash(
  algorithm: Algorithm,
  bytes: Uint8Array,
  as: 'buffer' | 'binary' | 'base64url',
): GuestBuffer | string {
  const digest = GuestBuffer.from(hashes[algorithm](Uint8Array.from(bytes)))
  return as === 'buffer' ? digest : digest.toString(as === 'binary' ? 'latin1' : as)
}

export function createHash(algorithm: Algorithm): { update(part: Uint8Array): void; digest(): GuestBuffer } {
  const begun = hashes[algorithm].create()
  return {
    update: part => void begun.update(Uint8Array.from(part)),
    digest: () => GuestBuffer.from(begun.digest()),
  }
}

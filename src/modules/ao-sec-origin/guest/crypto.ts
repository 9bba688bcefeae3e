// What `src/lib` and `src/protocol` use of node:crypto for hashing, in plain JavaScript; as guest/buffer.ts.
import { sha256, sha384 } from '@noble/hashes/sha2.js'
import { GuestBuffer } from './buffer.ts'

type Algorithm = 'sha256' | 'sha384'
const hashes = { sha256, sha384 } as const

export const hash = (algorithm: Algorithm, bytes: Uint8Array): GuestBuffer =>
  GuestBuffer.from(hashes[algorithm](Uint8Array.from(bytes)))

export function createHash(algorithm: Algorithm): { update(part: Uint8Array): void; digest(): GuestBuffer } {
  const begun = hashes[algorithm].create()
  return {
    update: part => void begun.update(Uint8Array.from(part)),
    digest: () => GuestBuffer.from(begun.digest()),
  }
}

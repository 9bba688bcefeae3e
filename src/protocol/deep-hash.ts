import { sha384, utf8 } from '../lib/bytes.ts'

/** The order-keeping hash that Arweave signatures cover. Source: arweave-js `lib/deepHash`. 48 bytes. */
export function deepHash(parts: readonly Uint8Array[]): Uint8Array {
  let hash = sha384(utf8(`list${parts.length}`))
  for (const part of parts) hash = sha384(hash, sha384(sha384(utf8(`blob${part.length}`)), sha384(part)))
  return hash
}

import { toHex, utf8 } from '../lib/bytes.ts'

/** The text that an Aptos wallet signs for an item. Source: arbundles `src/signing/chains/InjectedAptosSigner.ts`. */
export const aptosMessage = (digest: Uint8Array): Uint8Array => utf8(`APTOS\nmessage: ${toHex(digest)}\nnonce: bundlr`)

/** Most keys that a multi-signature owner holds. */
const maxKeys = 32
const keyBytes = 32
const signatureBytes = 64

/** How many must sign: the last byte of the owner. Undefined if it makes no sense. */
export function multiThreshold(owner: Uint8Array): number | undefined {
  const threshold = owner[maxKeys * keyBytes]
  return threshold !== undefined && threshold >= 1 && threshold <= maxKeys ? threshold : undefined
}

/**
 * Whether exactly as many as the owner asks for have signed, each over `digest` itself, and nothing else stands in the
 * signature. Source of the layout: arbundles `src/signing/chains/multiSignatureAptos.ts` (which asks for no number).
 *
 * Invariant: nobody but signers can change the signature. One signature more than needed could be left out by anybody,
 * and an unused place be filled.
 */
export function verifyMulti(
  owner: Uint8Array,
  signature: Uint8Array,
  verifyOne: (key: Uint8Array, signature: Uint8Array) => boolean,
): boolean {
  const bitmap = signature.subarray(maxKeys * signatureBytes)
  let signed = 0
  for (let i = 0; i < maxKeys; i++) {
    const part = signature.subarray(i * signatureBytes, (i + 1) * signatureBytes)
    const stated = ((bitmap[i >> 3] ?? 0) & (0x80 >> (i & 7))) !== 0
    if (!stated && part.some(byte => byte !== 0)) return false
    if (stated && !verifyOne(owner.subarray(i * keyBytes, (i + 1) * keyBytes), part)) return false
    if (stated) signed++
  }
  return signed === multiThreshold(owner)
}

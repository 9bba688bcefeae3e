import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { toBase64Url } from '../lib/bytes.ts'
import { type Address, addressOfKey } from './ids.ts'
import type { SignatureType } from './signature-kinds.ts'

/**
 * Whether `signature` over `digest` is of `ownerKey`. RSA and Ed25519 answer at once, on node:crypto.
 *
 * Invariant: one signature has one set of bytes, so nobody can give a seen item a second id.
 */
export function verifySignature(
  type: SignatureType,
  ownerKey: Uint8Array,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean | Promise<boolean> {
  switch (type) {
    case 1:
      return verifyRsa(ownerKey, digest, signature)
    case 2:
      return verifyEd25519(ownerKey, digest, signature)
    default:
      return Promise.resolve(false)
  }
}

/** Ethereum owners have an EIP-55 address; all others the SHA-256 of their key. */
export function addressOf(_type: SignatureType, ownerKey: Uint8Array): Address {
  return addressOfKey(ownerKey)
}

function verifyRsa(ownerKey: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  const key = publicKey({ kty: 'RSA', n: toBase64Url(ownerKey), e: 'AQAB' })
  if (key === undefined) return false
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_AUTO: saltLength } = constants
  return verify('sha256', digest, { key, padding, saltLength }, signature)
}

function verifyEd25519(ownerKey: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  const key = publicKey({ kty: 'OKP', crv: 'Ed25519', x: toBase64Url(ownerKey) })
  return key !== undefined && verify(null, digest, key, signature)
}

function publicKey(key: { kty: string; n?: string; e?: string; crv?: string; x?: string }): KeyObject | undefined {
  try {
    return createPublicKey({ key, format: 'jwk' })
  } catch {
    return undefined // not a key: then it signed nothing
  }
}

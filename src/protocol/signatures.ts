import { constants, type KeyObject, verify } from 'node:crypto'
import { toHex, utf8 } from '../lib/bytes.ts'
import { aptosMessage, multiThreshold, verifyMulti } from './aptos.ts'
import { ethereumAddress, isTypedOwner, verifyEthereum } from './ethereum.ts'
import { type Address, addressOfKey } from './ids.ts'
import { ed25519Key, rsaKey } from './public-keys.ts'
import type { SignatureType } from './signature-kinds.ts'

/**
 * Whether `signature` over `digest` is of `ownerKey`, which `ownerFault` has no fault to find with.
 *
 * Invariant: one signature has one set of bytes, so nobody can give a seen item a second id. RSA: s < n; Ed25519:
 * S < L (both by OpenSSL); Ethereum: see there; Aptos with several keys: see there.
 */
export function verifySignature(
  type: SignatureType,
  ownerKey: Uint8Array,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  switch (type) {
    case 1:
      return verifyRsa(ownerKey, digest, signature)
    case 2:
      return verifyEd25519(ownerKey, digest, signature)
    case 3:
    case 7:
      return verifyEthereum(type, ownerKey, digest, signature)
    case 4: // Solana wallets show text, so they sign the digest's hexadecimal digits
      return verifyEd25519(ownerKey, utf8(toHex(digest)), signature)
    case 5:
      return verifyEd25519(ownerKey, aptosMessage(digest), signature)
    case 6:
      return verifyMulti(ownerKey, signature, (key, part) => verifyEd25519(key, digest, part))
  }
}

/** As `verifySignature`. RSA and Ed25519 are checked in a thread of Node's pool; the rest, which few use, here. */
export async function verifySignatureAside(
  type: SignatureType,
  ownerKey: Uint8Array,
  digest: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const [algorithm, key] =
    type === 1 ? (['sha256', rsaKey(ownerKey)] as const) : type === 2 ? ([null, ed25519Key(ownerKey)] as const) : []
  if (algorithm === undefined) return verifySignature(type, ownerKey, digest, signature)
  if (key === undefined) return false
  const keyOptions = type === 1 ? { key, padding, saltLength } : key
  return new Promise(resolve => {
    // An error is OpenSSL's: it cannot calculate with this key, so the key signed nothing.
    verify(algorithm, digest, keyOptions, signature, (error, valid) => resolve(error === null && valid))
  })
}

/** Why these bytes are no owner of that type, or another form of one; undefined if they are its one form. */
export function ownerFault(type: SignatureType, ownerKey: Uint8Array): string | undefined {
  switch (type) {
    case 1: {
      const [first = 0, last = 0] = [ownerKey[0], ownerKey.at(-1)]
      return first >= 0x80 && last % 2 === 1 ? undefined : 'the owner is not a 4096-bit RSA modulus'
    }
    case 3:
      return ownerKey[0] === 4 ? undefined : 'the owner is not an uncompressed key'
    case 6:
      return multiThreshold(ownerKey) === undefined
        ? 'the owner asks for a number of signatures that cannot be'
        : undefined
    case 7:
      return isTypedOwner(ownerKey) ? undefined : 'the owner is not 0x and 40 lower-case hexadecimal digits'
    default:
      return undefined
  }
}

/** Ethereum owners have an EIP-55 address; all others the SHA-256 of their key. */
export const addressOf = (type: SignatureType, ownerKey: Uint8Array): Address =>
  type === 3 || type === 7 ? ethereumAddress(type, ownerKey) : addressOfKey(ownerKey)

const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_AUTO: saltLength } = constants

/** Any length of salt, as arweave-js takes it: wallets differ. */
const verifyRsa = (ownerKey: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean =>
  check('sha256', rsaKey(ownerKey), key => ({ key, padding, saltLength }), digest, signature)

const verifyEd25519 = (ownerKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean =>
  check(null, ed25519Key(ownerKey), key => key, message, signature)

function check(
  algorithm: 'sha256' | null,
  key: KeyObject | undefined,
  options: (key: KeyObject) => Parameters<typeof verify>[2],
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (key === undefined) return false
  try {
    return verify(algorithm, message, options(key), signature)
  } catch {
    return false // OpenSSL cannot calculate with this key: then it signed nothing
  }
}

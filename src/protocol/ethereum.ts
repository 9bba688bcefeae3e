import { keccak_256 } from '@noble/hashes/sha3.js'
import secp256k1 from 'secp256k1'
import { concat, equalBytes, toHex, utf8 } from '../lib/bytes.ts'
import type { Address } from './ids.ts'

/**
 * Whether a signature over an item's digest is of this owner: `personal_sign` for type 3, typed data for type 7.
 *
 * Invariant: of the four signatures that ECDSA would take for one, only that with low s and the v (27 or 28) that
 * recovers the owner's key is good.
 */
export function verifyEthereum(type: 3 | 7, owner: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  const key = recoverKey(signature, type === 3 ? personalDigest(digest) : typedDigest(owner, digest))
  if (key === undefined) return false
  return type === 3 ? equalBytes(key, owner) : ownerText(owner) === `0x${toHex(addressBytes(key))}`
}

/** EIP-55 address of an owner as it stands in an item: 65 bytes of key (type 3), or the address as text (type 7). */
export const ethereumAddress = (type: 3 | 7, owner: Uint8Array): Address =>
  checksummed(type === 3 ? toHex(addressBytes(owner)) : ownerText(owner).slice(2))

/** Type 7 writes its owner in lower case, as arbundles' signers do: one owner has one form. */
export const isTypedOwner = (owner: Uint8Array): boolean => /^0x[0-9a-f]{40}$/.test(ownerText(owner))

/** Half the order of secp256k1, rounded down: the largest s of a signature in its low form. */
const maxLowS = Buffer.from('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0', 'hex')

/** 65 bytes, uncompressed; undefined if the signature is not in the one form we take. */
function recoverKey(signature: Uint8Array, hash: Uint8Array): Uint8Array | undefined {
  const v = signature[64]
  if (v !== 27 && v !== 28) return undefined
  if (Buffer.compare(signature.subarray(32, 64), maxLowS) > 0) return undefined
  try {
    return secp256k1.ecdsaRecover(signature.subarray(0, 64), v - 27, hash, false)
  } catch {
    return undefined // r or s is zero or too large, or no point has that r
  }
}

const keccak = (...parts: readonly Uint8Array[]): Uint8Array => keccak_256(concat(...parts))
const addressBytes = (key: Uint8Array): Uint8Array => keccak(key.subarray(1)).subarray(12)
const ownerText = (owner: Uint8Array): string => Buffer.from(owner).toString('latin1')

/** EIP-191. An item's digest has 48 bytes. */
const personalDigest = (digest: Uint8Array): Uint8Array =>
  keccak(utf8(`\x19Ethereum Signed Message:\n${digest.length}`), digest)

/** EIP-712. Source of domain and types: arbundles `src/signing/chains/TypedEthereumSigner.ts`. */
function typedDigest(owner: Uint8Array, digest: Uint8Array): Uint8Array {
  const address = Buffer.from(ownerText(owner).slice(2), 'hex')
  const struct = keccak(typeHash, keccak(digest), new Uint8Array(12), address)
  return keccak(Uint8Array.of(0x19, 0x01), domainHash, struct)
}
const typeHash = keccak(utf8('Bundlr(bytes Transaction hash,address address)'))
const domainHash = keccak(
  keccak(utf8('EIP712Domain(string name,string version)')),
  keccak(utf8('Bundlr')),
  keccak(utf8('1')),
)

/** EIP-55: the hash of the lower-case digits says which letters are upper case. */
function checksummed(digits: string): Address {
  const hash = toHex(keccak(utf8(digits)))
  const text = [...digits].map((digit, i) => (Number.parseInt(hash[i] ?? '0', 16) >= 8 ? digit.toUpperCase() : digit))
  return `0x${text.join('')}` as Address
}

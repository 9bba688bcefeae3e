import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import type { SignatureType } from './signature-kinds.ts'

/**
 * Arweave's RSA (1) and Ed25519 (2) in plain JavaScript: for code that has to come to the same answer inside a module
 * and outside, on every machine. Slower than `verifySignature`. Other kinds are no answer here: false.
 */
export function verifyPurely(
  type: SignatureType,
  ownerKey: Uint8Array,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (type === 1) return verifyPss(ownerKey, digest, signature)
  if (type !== 2) return false
  try {
    return ed25519.verify(signature, digest, ownerKey, { zip215: false })
  } catch {
    return false // not a point of the curve: then it signed nothing
  }
}

const modulusBytes = 512
const hashBytes = 32

/** RSASSA-PSS with SHA-256, exponent 65537 and a salt of any length. Source: RFC 8017, 8.1.2 and 9.1.2. */
function verifyPss(modulus: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const [n, s] = [toInteger(modulus), toInteger(signature)]
  if (modulus.length !== modulusBytes || s >= n) return false
  const encoded = toBytes(power65537(s, n))
  const dbLength = modulusBytes - hashBytes - 1
  const hash = encoded.subarray(dbLength, dbLength + hashBytes)
  if (encoded[modulusBytes - 1] !== 0xbc || (encoded[0] ?? 0) > 0x7f) return false
  const db = encoded.slice(0, dbLength)
  const mask = mgf1(hash, dbLength)
  for (let i = 0; i < dbLength; i++) db[i] = (db[i] ?? 0) ^ (mask[i] ?? 0)
  db[0] = (db[0] ?? 0) & 0x7f
  const one = db.findIndex(byte => byte !== 0)
  if (one < 0 || db[one] !== 1) return false
  const salt = db.subarray(one + 1)
  const again = new Uint8Array(8 + hashBytes + salt.length)
  again.set(sha256(message), 8)
  again.set(salt, 8 + hashBytes)
  return sha256(again).every((byte, i) => byte === hash[i])
}

/** s^65537 mod n: sixteen squarings and one multiplication. */
function power65537(s: bigint, n: bigint): bigint {
  let power = s
  for (let i = 0; i < 16; i++) power = (power * power) % n
  return (power * s) % n
}

function mgf1(seed: Uint8Array, length: number): Uint8Array {
  const mask = new Uint8Array(Math.ceil(length / hashBytes) * hashBytes)
  const input = new Uint8Array(seed.length + 4)
  input.set(seed)
  for (let i = 0; i * hashBytes < length; i++) {
    input[seed.length + 3] = i // fewer than 256 blocks
    mask.set(sha256(input), i * hashBytes)
  }
  return mask.subarray(0, length)
}

const hexDigits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

const toInteger = (bytes: Uint8Array): bigint => BigInt(`0x${Array.from(bytes, byte => hexDigits[byte]).join('')}`)

function toBytes(value: bigint): Uint8Array {
  const hex = value.toString(16).padStart(2 * modulusBytes, '0')
  return Uint8Array.from({ length: modulusBytes }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16))
}

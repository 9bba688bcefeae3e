import { hash } from 'node:crypto'
import { utf8 } from '../lib/bytes.ts'

/** The order-keeping hash that Arweave signatures cover. Source: arweave-js `lib/deepHash`. 48 bytes. */
export const deepHash = (parts: readonly Uint8Array[]): Uint8Array => deepHashOn(beginDeepHash(parts.length), parts)

/** The hash of a list of `count` parts before its first part, for callers whose lists begin alike. */
export const beginDeepHash = (count: number): Uint8Array => sha384(utf8(`list${count}`))

/** Goes on from what `beginDeepHash` or this function gave. */
export function deepHashOn(begun: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  let acc = begun
  for (const part of parts) acc = hashPair(acc, hashBlob(part))
  return acc
}

const sha384 = (bytes: Uint8Array): Uint8Array => hash('sha384', bytes, 'buffer')

const hashBlob = (part: Uint8Array): Uint8Array =>
  part.length === 0 ? emptyBlob : hashPair(blobTag(part.length), sha384(part))

const digestBytes = 48
// Every use ends before the next begins: hashing does not wait.
const pairBuffer = Buffer.alloc(2 * digestBytes)

function hashPair(left: Uint8Array, right: Uint8Array): Uint8Array {
  pairBuffer.set(left, 0)
  pairBuffer.set(right, digestBytes)
  return sha384(pairBuffer)
}

/** Owners, targets, tags and short data: the same lengths come again and again. */
const cachedLengths = 4096
const blobTags = new Map<number, Uint8Array>()

function blobTag(length: number): Uint8Array {
  const cached = blobTags.get(length)
  if (cached !== undefined) return cached
  const tag = sha384(utf8(`blob${length}`))
  if (length <= cachedLengths) blobTags.set(length, tag)
  return tag
}

const emptyBlob = hashPair(blobTag(0), sha384(new Uint8Array(0)))

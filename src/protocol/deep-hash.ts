import { hash } from 'node:crypto'
import { asBuffer, utf8 } from '../lib/bytes.ts'

/** The order-keeping hash that Arweave signatures cover. Source: arweave-js `lib/deepHash`. 48 bytes. */
export const deepHash = (parts: readonly Uint8Array[]): Uint8Array => deepHashOn(beginDeepHash(parts.length), parts)

/** The hash of a list of `count` parts before its first part, for callers whose lists begin alike. */
export const beginDeepHash = (count: number): Uint8Array => Buffer.from(sha384(utf8(`list${count}`)), 'latin1')

/** Goes on from what `beginDeepHash` or this function gave. */
export function deepHashOn(begun: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  let acc: Digest = asBuffer(begun).toString('latin1')
  for (const part of parts) acc = hashPair(acc, hashBlob(part))
  return Buffer.from(acc, 'latin1')
}

/** One character a byte: for short inputs a Buffer from OpenSSL costs more than the hash that is in it. */
type Digest = string

const sha384 = (bytes: Uint8Array): Digest => hash('sha384', bytes, 'binary')

const hashBlob = (part: Uint8Array): Digest =>
  part.length === 0 ? emptyBlob : hashPair(blobTag(part.length), sha384(part))

const digestBytes = 48
// Every use ends before the next begins: hashing does not wait.
const pairBuffer = Buffer.alloc(2 * digestBytes)

function hashPair(left: Digest, right: Digest): Digest {
  pairBuffer.write(left, 0, 'latin1')
  pairBuffer.write(right, digestBytes, 'latin1')
  return sha384(pairBuffer)
}

/** Owners, targets, tags and short data: the same lengths come again and again. */
const cachedLengths = 4096
const blobTags = new Map<number, Digest>()

function blobTag(length: number): Digest {
  const cached = blobTags.get(length)
  if (cached !== undefined) return cached
  const tag = sha384(utf8(`blob${length}`))
  if (length <= cachedLengths) blobTags.set(length, tag)
  return tag
}

const emptyBlob = hashPair(blobTag(0), sha384(new Uint8Array(0)))

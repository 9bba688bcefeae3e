import { isUtf8 } from 'node:buffer'
import { asBuffer } from '../lib/bytes.ts'
import { type AoError, refusal } from '../lib/errors.ts'
import type { Tag } from './tags.ts'

/** arbundles' limits, which every reader of AO keeps. */
export const maxTags = 128
export const maxTagBytes = 4096

/**
 * Tags as ANS-104 wants them: one Avro block of (name, value) strings and an end mark; no bytes for no tags.
 *
 * @throws AoError `INVALID_DATA_ITEM` over 128 tags or 4096 bytes.
 */
export function encodeTags(tags: readonly Tag[]): Uint8Array {
  if (tags.length === 0) return new Uint8Array(0)
  if (tags.length > maxTags) throw invalid('too many tags', { tags: tags.length, limit: maxTags })
  // Written into one buffer: a scheduler encodes twelve tags for every message it orders.
  let bound = 4
  for (const { name, value } of tags) bound += 6 + 3 * (name.length + value.length)
  const bytes = Buffer.allocUnsafe(bound)
  let at = writeLong(bytes, 0, tags.length)
  for (const { name, value } of tags) at = writeString(bytes, writeString(bytes, at, name), value)
  bytes[at++] = 0
  if (at > maxTagBytes) throw invalid('tags take too many bytes', { bytes: at, limit: maxTagBytes })
  return bytes.subarray(0, at)
}

/**
 * Takes only the bytes that `encodeTags` would write, so equal tags have one encoding and a signature one meaning.
 *
 * @throws AoError `INVALID_DATA_ITEM`
 */
export function decodeTags(bytes: Uint8Array, count: number): readonly Tag[] {
  if (count > maxTags) throw invalid('too many tags', { tags: count, limit: maxTags })
  if (count === 0) {
    if (bytes.length > 0) throw invalid('there are tag bytes but no tags', { bytes: bytes.length })
    return []
  }
  const reader = new AvroReader(bytes)
  if (reader.long() !== count) throw invalid('the number of tags is not the one stated', { stated: count })
  const tags: Tag[] = []
  for (let i = 0; i < count; i++) tags.push({ name: reader.string(), value: reader.string() })
  if (reader.long() !== 0 || !reader.done) throw invalid('the tags do not end where they should')
  return tags
}

class AvroReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = asBuffer(bytes)
  }

  get done(): boolean {
    return this.#at === this.#bytes.length
  }

  /** A zigzag varint in its shortest form; three bytes hold every length under the limit. */
  long(): number {
    let value = 0
    for (let shift = 0; shift < 21; shift += 7) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw invalid('the tags end inside a number')
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        if (byte === 0 && shift > 0) throw invalid('a number in the tags is not in its shortest form')
        return value & 1 ? -(value >>> 1) - 1 : value >>> 1
      }
    }
    throw invalid('a number in the tags is out of range')
  }

  string(): string {
    const length = this.long()
    if (length < 0 || length > this.#bytes.length - this.#at) throw invalid('a tag is longer than the tags', { length })
    const part = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    if (!isUtf8(part)) throw invalid('a tag is not UTF-8')
    return part.toString('utf8')
  }
}

/** Gives the place after what it wrote. */
function writeString(bytes: Buffer, at: number, text: string): number {
  const start = writeLong(bytes, at, Buffer.byteLength(text))
  return start + bytes.write(text, start)
}

/** A zigzag varint of a length. */
function writeLong(bytes: Buffer, at: number, value: number): number {
  let rest = value * 2
  let next = at
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes[next++] = (rest % 128) | 0x80
  bytes[next++] = rest
  return next
}

const invalid = (message: string, facts: Record<string, number> = {}): AoError =>
  refusal('INVALID_DATA_ITEM', message, facts, {
    hint: 'Encode tags as ANS-104 says: Avro, at most 128, 4096 bytes.',
  })

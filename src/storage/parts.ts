import { asBuffer } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'

type Tuple<N extends number> = N extends 2
  ? readonly [Uint8Array, Uint8Array]
  : readonly [Uint8Array, Uint8Array, Uint8Array]

/** Byte strings as one value: each with its length before it (32 bit, big-endian), the last without. */
export function joinParts(...parts: readonly Uint8Array[]): Uint8Array {
  const last = parts.length - 1
  return Buffer.concat(parts.flatMap((part, i) => (i === last ? [part] : [u32(part.length), part])))
}

/** @throws AoError `STORE_CORRUPT` if the bytes are not `count` joined parts. */
export function splitParts<N extends 2 | 3>(bytes: Uint8Array, count: N): Tuple<N> {
  const buffer = asBuffer(bytes)
  const parts: Uint8Array[] = []
  let at = 0
  while (parts.length < count - 1) {
    const end = at + 4 <= buffer.length ? at + 4 + buffer.readUInt32BE(at) : Number.POSITIVE_INFINITY
    if (end > buffer.length) throw new AoError('STORE_CORRUPT', 'a stored row is cut short', { bytes: buffer.length })
    parts.push(buffer.subarray(at + 4, end))
    at = end
  }
  parts.push(buffer.subarray(at))
  return parts as unknown as Tuple<N>
}

function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

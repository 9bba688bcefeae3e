import { asBuffer, utf8 } from '../lib/bytes.ts'
import { type Id, idFromBytes, idToBytes } from '../protocol/ids.ts'

/** Keys from `gte` up to but without `lt`, ascending or in reverse. */
export interface KeyRange {
  readonly gte: Uint8Array
  readonly lt: Uint8Array
  readonly reverse?: boolean | undefined
  readonly limit?: number | undefined
}

/**
 * The keys of one table of a Store: they share a prefix and sort as their parts do, from left to right.
 *
 * Invariant: no table's name is the beginning of another's, because a name ends in a zero byte.
 */
export class KeySpace {
  readonly #prefix: Uint8Array

  /** @param name lower-case letters and dashes; once on disk it is permanent. */
  constructor(name: string) {
    if (!/^[a-z-]+$/.test(name)) throw new TypeError(`not a name for a table: ${name}`)
    this.#prefix = utf8(`${name}\0`)
  }

  key(...parts: readonly Uint8Array[]): Uint8Array {
    return Buffer.concat([this.#prefix, ...parts])
  }

  /** All keys that begin with these parts. */
  range(...parts: readonly Uint8Array[]): KeyRange {
    const gte = this.key(...parts)
    return { gte, lt: after(gte) }
  }

  /** The part at `offset` bytes after the prefix. */
  part(key: Uint8Array, offset: number, length: number): Uint8Array {
    const start = this.#prefix.length + offset
    return key.subarray(start, start + length)
  }
}

/** A whole number that sorts as itself: 8 bytes, big-endian. */
export function u64(value: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeUInt32BE(Math.floor(value / 2 ** 32), 0)
  bytes.writeUInt32BE(value >>> 0, 4)
  return bytes
}

/** @param bytes what `u64` made. */
export function fromU64(bytes: Uint8Array): number {
  const buffer = asBuffer(bytes)
  return buffer.readUInt32BE(0) * 2 ** 32 + buffer.readUInt32BE(4)
}

/** An id as its 32 bytes. */
export const idPart: (id: Id) => Uint8Array = idToBytes
export const fromIdPart = <T extends Id = Id>(bytes: Uint8Array): T => idFromBytes<T>(bytes)

/** The first key after all that begin with `prefix`. A prefix of a KeySpace is never all 0xff. */
function after(prefix: Uint8Array): Uint8Array {
  const bytes = Buffer.from(prefix)
  let end = bytes.length
  while (bytes[end - 1] === 0xff) end--
  bytes.writeUInt8(bytes.readUInt8(end - 1) + 1, end - 1)
  return bytes.subarray(0, end)
}

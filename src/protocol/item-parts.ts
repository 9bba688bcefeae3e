import { asBuffer } from '../lib/bytes.ts'
import { AoError, refusal } from '../lib/errors.ts'
import { maxTagBytes } from './avro-tags.ts'
import { deepHashOn } from './deep-hash.ts'
import { ownerFacts } from './owners.ts'
import { type SignatureType, signatureKinds } from './signature-kinds.ts'
import { ownerFault } from './signatures.ts'

/** The fields of ANS-104 bytes as views of them: in shape, and nothing read or checked beyond that. */
export interface ItemParts {
  readonly signatureType: SignatureType
  readonly signature: Uint8Array
  readonly ownerKey: Uint8Array
  /** 0 or 32 bytes, as the anchor. */
  readonly target: Uint8Array
  readonly anchor: Uint8Array
  readonly tagCount: number
  readonly tagBytes: Uint8Array
  readonly data: Uint8Array
}

export interface ItemLimits {
  /** Of the whole item, in bytes. */
  readonly maxBytes: number
}

/** @throws AoError `TOO_LARGE` | `INVALID_DATA_ITEM` */
export function splitItem(bytes: Uint8Array, limits: ItemLimits): ItemParts {
  if (bytes.length > limits.maxBytes) {
    throw new AoError(
      'TOO_LARGE',
      'the data item is too large',
      { bytes: bytes.length, limit: limits.maxBytes },
      { hint: 'Put large data on Arweave and send its id.' },
    )
  }
  const reader = new Reader(bytes)
  const typeNumber = reader.u16('signature type')
  const kind = signatureKinds[typeNumber]
  if (kind === undefined) throw invalid('unknown signature type', { signatureType: typeNumber })
  const signatureType = typeNumber as SignatureType
  const signature = reader.take(kind.signatureBytes, 'signature')
  const ownerKey = reader.take(kind.ownerBytes, 'owner')
  const fault = ownerFault(signatureType, ownerKey)
  if (fault !== undefined) throw invalid(fault, { signatureType })
  const target = reader.optional('target')
  const anchor = reader.optional('anchor')
  const tagCount = reader.u64('number of tags')
  const tagLength = reader.u64('length of tags')
  if (tagLength > maxTagBytes) throw invalid('tags take too many bytes', { bytes: tagLength, limit: maxTagBytes })
  const tagBytes = reader.take(tagLength, 'tags')
  return { signatureType, signature, ownerKey, target, anchor, tagCount, tagBytes, data: reader.rest() }
}

/** What an item's signature covers. */
export type SignedParts = Pick<ItemParts, 'signatureType' | 'ownerKey' | 'target' | 'anchor' | 'tagBytes' | 'data'>

/** The 48 bytes that are signed. */
export function digestOf({ signatureType, ownerKey, target, anchor, tagBytes, data }: SignedParts): Uint8Array {
  const owner = ownerFacts(signatureType, ownerKey)
  if (target.length === 0 && anchor.length === 0) return deepHashOn(owner.bareDigest(), [tagBytes, data])
  return deepHashOn(owner.digest(), [target, anchor, tagBytes, data])
}

/** Reads forward and never past the end. */
class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = asBuffer(bytes)
  }

  take(length: number, what: string): Uint8Array {
    if (length > this.#bytes.length - this.#at) {
      throw invalid(`the item ends inside its ${what}`, { needed: length, left: this.#bytes.length - this.#at })
    }
    const part = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return part
  }

  u16(what: string): number {
    return asBuffer(this.take(2, what)).readUInt16LE()
  }

  u64(what: string): number {
    const value = asBuffer(this.take(8, what)).readBigUInt64LE()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(`the ${what} is out of range`)
    return Number(value)
  }

  /** A presence byte, then 32 bytes if it is 1. */
  optional(what: string): Uint8Array {
    const flag = this.take(1, what)[0]
    if (flag === 0) return empty
    if (flag !== 1) throw invalid(`the presence byte of the ${what} is neither 0 nor 1`)
    return this.take(32, what)
  }

  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at)
  }
}

const empty = new Uint8Array(0)

const invalid = (message: string, facts: Record<string, number> = {}): AoError =>
  refusal('INVALID_DATA_ITEM', message, facts, { hint: 'Send one whole signed ANS-104 data item as raw bytes.' })

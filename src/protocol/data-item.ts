import { asBuffer, concat, sha256, utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import { decodeTags, encodeTags, maxTagBytes } from './avro-tags.ts'
import { beginDeepHash, deepHashOn } from './deep-hash.ts'
import { type Address, fromTarget, idFromBytes, idToBytes, type MessageId, type ProcessId } from './ids.ts'
import { type SignatureType, signatureKinds } from './signature-kinds.ts'
import { addressOf, ownerFault, verifySignature, verifySignatureAside } from './signatures.ts'
import type { Tag } from './tags.ts'

/** A signed ANS-104 item whose signature has been checked: unverified bytes are a `Uint8Array`. */
export interface DataItem {
  readonly id: MessageId
  readonly signatureType: SignatureType
  readonly signature: Uint8Array
  /** The signer's address. */
  readonly owner: Address
  /** The signer's public key as it stands in the item. */
  readonly ownerKey: Uint8Array
  /** A Process, or a wallet's 32-byte address. */
  readonly target: ProcessId | undefined
  /** 0 or 32 bytes. */
  readonly anchor: Uint8Array
  readonly tags: readonly Tag[]
  readonly data: Uint8Array
  /** The exact signed bytes, for relay and settlement. */
  readonly raw: Uint8Array
}

/** What a signer turns into a DataItem. */
export interface Draft {
  readonly target?: ProcessId | Address | undefined
  /** 0 or 32 bytes of UTF-8 text. */
  readonly anchor?: string | undefined
  readonly tags: readonly Tag[]
  readonly data: Uint8Array
}

export interface ItemLimits {
  /** Of the whole item, in bytes. */
  readonly maxBytes: number
}
/** What the reference MU (10 MB body) and SU (10 MiB payload) take. */
export const defaultItemLimits: ItemLimits = { maxBytes: 10 * 1024 * 1024 }

/**
 * Parses strictly and checks the signature. Nothing is allocated before its length has been bounded.
 *
 * @throws AoError `TOO_LARGE` | `INVALID_DATA_ITEM`
 * @see ANS-104, https://github.com/ArweaveTeam/arweave-standards/blob/master/ans/ANS-104.md
 */
export async function verifyDataItem(bytes: Uint8Array, limits: ItemLimits = defaultItemLimits): Promise<DataItem> {
  const { item, tagBytes } = parseUnverified(bytes, limits)
  if (verifySignature(item.signatureType, item.ownerKey, digestOf(item, tagBytes), item.signature)) return item
  throw badSignature(item)
}

/**
 * As `verifyDataItem`, with the costly part in another thread: for whoever has many callers and both hands full.
 *
 * @throws AoError `TOO_LARGE` | `INVALID_DATA_ITEM`
 */
export async function verifyDataItemAside(
  bytes: Uint8Array,
  limits: ItemLimits = defaultItemLimits,
): Promise<DataItem> {
  const { item, tagBytes } = parseUnverified(bytes, limits)
  const digest = digestOf(item, tagBytes)
  if (await verifySignatureAside(item.signatureType, item.ownerKey, digest, item.signature)) return item
  throw badSignature(item)
}

const badSignature = ({ id, signatureType }: DataItem): AoError =>
  new AoError(
    'INVALID_DATA_ITEM',
    'the signature does not match the item',
    { id, signatureType },
    { hint: 'Sign the item again: it was changed after signing, or signed with another key than its owner.' },
  )

/** Bytes that this node verified before it stored them. Shape is checked again, the signature is not. */
export const parseStoredItem = (bytes: Uint8Array): DataItem => parseUnverified(bytes, { maxBytes: bytes.length }).item

/** The 48 bytes that an item's signature covers. */
export const signedDigest = (item: SignedFields): Uint8Array => digestOf(item, encodeTags(item.tags))

type SignedFields = Omit<DataItem, 'id' | 'owner' | 'raw' | 'signature'>

/** Puts a draft into bytes around a signature made by `sign`, which is given the digest. */
export async function buildDataItem(
  draft: Draft,
  signer: {
    readonly signatureType: SignatureType
    readonly ownerKey: Uint8Array
    sign(digest: Uint8Array): Uint8Array | Promise<Uint8Array>
  },
): Promise<DataItem> {
  const anchor = utf8(draft.anchor ?? '')
  if (anchor.length !== 0 && anchor.length !== 32) {
    throw new AoError('INVALID_ARGUMENT', 'an anchor is 0 or 32 bytes', { bytes: anchor.length })
  }
  const target = draft.target === undefined ? undefined : fromTarget(draft.target)
  const tags = draft.tags.map(wellFormed)
  const tagBytes = encodeTags(tags)
  const { signatureType, ownerKey } = signer
  const fields = { signatureType, ownerKey, target, anchor, tags, data: draft.data }
  const signature = await signer.sign(digestOf(fields, tagBytes))
  const raw = concat(
    u16(signatureType),
    signature,
    ownerKey,
    ...optionalField(target === undefined ? empty : idToBytes(target)),
    ...optionalField(anchor),
    u64(tags.length),
    u64(tagBytes.length),
    tagBytes,
    draft.data,
  )
  const id = idFromBytes<MessageId>(sha256(signature))
  return { ...fields, id, signature, owner: addressOf(signatureType, ownerKey), raw }
}

/** Half a character cannot be written as UTF-8: it reads as U+FFFD, here as in the bytes. */
const wellFormed = ({ name, value }: Tag): Tag => ({ name: name.toWellFormed(), value: value.toWellFormed() })

function digestOf({ signatureType, ownerKey, target, anchor, data }: SignedFields, tags: Uint8Array): Uint8Array {
  const rest = [ownerKey, target === undefined ? empty : idToBytes(target), anchor, tags, data]
  return deepHashOn(begunDigest(signatureType), rest)
}

const begunDigests = new Map<SignatureType, Uint8Array>()

/** The parts that all items of a type have in common. */
function begunDigest(type: SignatureType): Uint8Array {
  const known = begunDigests.get(type)
  if (known !== undefined) return known
  const begun = deepHashOn(beginDeepHash(8), [utf8('dataitem'), utf8('1'), utf8(String(type))])
  begunDigests.set(type, begun)
  return begun
}

/** `tagBytes` are the only bytes that `tags` can be written as. */
function parseUnverified(bytes: Uint8Array, limits: ItemLimits): { item: DataItem; tagBytes: Uint8Array } {
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
  const item = {
    id: idFromBytes<MessageId>(sha256(signature)),
    signatureType,
    signature,
    owner: addressOf(signatureType, ownerKey),
    ownerKey,
    target: target.length === 0 ? undefined : idFromBytes<ProcessId>(target),
    anchor,
    tags: decodeTags(tagBytes, tagCount),
    data: reader.rest(),
    raw: bytes,
  }
  return { item, tagBytes }
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

const optionalField = (field: Uint8Array): readonly Uint8Array[] =>
  field.length === 0 ? [Uint8Array.of(0)] : [Uint8Array.of(1), field]

function u16(value: number): Uint8Array {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

function u64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

const invalid = (message: string, facts: Record<string, number> = {}): AoError =>
  new AoError('INVALID_DATA_ITEM', message, facts, { hint: 'Send one whole signed ANS-104 data item as raw bytes.' })

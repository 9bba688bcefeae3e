import { concat, utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import { decodeTags, encodeTags } from './avro-tags.ts'
import { checkAside } from './check-aside.ts'
import {
  type Address,
  fromTarget,
  type Id,
  idFromBytes,
  idOf,
  idToBytes,
  type MessageId,
  type ProcessId,
} from './ids.ts'
import { digestOf, type ItemLimits, splitItem } from './item-parts.ts'
import { ownerFacts } from './owners.ts'
import type { SignatureType } from './signature-kinds.ts'
import { verifySignature } from './signatures.ts'
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

export type { ItemLimits } from './item-parts.ts'

/** What the reference MU (10 MB body) and SU (10 MiB payload) take. */
export const defaultItemLimits: ItemLimits = { maxBytes: 10 * 1024 * 1024 }

/**
 * Parses strictly and checks the signature. Nothing is allocated before its length has been bounded.
 *
 * @throws AoError `TOO_LARGE` | `INVALID_DATA_ITEM`
 * @see ANS-104, https://github.com/ArweaveTeam/arweave-standards/blob/master/ans/ANS-104.md
 */
export const verifyDataItem = async (bytes: Uint8Array, limits: ItemLimits = defaultItemLimits): Promise<DataItem> =>
  verifyDataItemBy(verifySignature, bytes, limits)

/** As `verifyDataItem`, at once and with the signatures checked by `verify`. */
export function verifyDataItemBy(verify: VerifySignature, bytes: Uint8Array, limits: ItemLimits): DataItem {
  const item = parseUnverified(bytes, limits)
  const { signatureType, ownerKey, signature } = item
  if (verify(signatureType, ownerKey, digestOf(splitItem(bytes, limits)), signature)) return item
  throw badSignature(item)
}
export type VerifySignature = typeof verifySignature

/**
 * As `verifyDataItem`, with the costly part in another thread: for whoever has many callers and both hands full.
 *
 * @throws AoError `TOO_LARGE` | `INVALID_DATA_ITEM`, and `OVERLOADED` | `STOPPING` by the threads
 */
export async function verifyDataItemAside(
  bytes: Uint8Array,
  limits: ItemLimits = defaultItemLimits,
): Promise<DataItem> {
  const item = parseUnverified(bytes, limits)
  if (await checkAside(bytes, item.target ?? (item.id as Id as ProcessId))) return item
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
export const parseStoredItem = (bytes: Uint8Array): DataItem => parseUnverified(bytes, { maxBytes: bytes.length })

/** The 48 bytes that an item's signature covers. */
export const signedDigest = ({ target, ...item }: SignedFields): Uint8Array =>
  digestOf({ ...item, target: bytesOf(target), tagBytes: encodeTags(item.tags) })

type SignedFields = Omit<DataItem, 'id' | 'owner' | 'raw' | 'signature'>

/** The key that an item is built with. */
export interface ItemKey {
  readonly signatureType: SignatureType
  readonly ownerKey: Uint8Array
}

/** Puts a draft into bytes around a signature made by `sign`, which is given the digest. */
export async function buildDataItem(
  draft: Draft,
  signer: ItemKey & { sign(digest: Uint8Array): Uint8Array | Promise<Uint8Array> },
): Promise<DataItem> {
  const unsigned = prepare(draft, signer)
  return finish(unsigned, await signer.sign(digestOf(unsigned.parts)))
}

/** As `buildDataItem`, with a key that signs at once. */
export function buildDataItemNow(draft: Draft, signer: ItemKey & { sign(digest: Uint8Array): Uint8Array }): DataItem {
  const unsigned = prepare(draft, signer)
  return finish(unsigned, signer.sign(digestOf(unsigned.parts)))
}

function prepare(draft: Draft, { signatureType, ownerKey }: ItemKey) {
  const anchor = utf8(draft.anchor ?? '')
  if (anchor.length !== 0 && anchor.length !== 32) {
    throw new AoError('INVALID_ARGUMENT', 'an anchor is 0 or 32 bytes', { bytes: anchor.length })
  }
  const target = draft.target === undefined ? undefined : fromTarget(draft.target)
  const tags = draft.tags.map(wellFormed)
  const parts = {
    signatureType,
    ownerKey,
    target: bytesOf(target),
    anchor,
    tagBytes: encodeTags(tags),
    data: draft.data,
  }
  return { target, tags, parts }
}

function finish({ target, tags, parts }: ReturnType<typeof prepare>, signature: Uint8Array): DataItem {
  const { signatureType, ownerKey, anchor, tagBytes, data } = parts
  const raw = concat(
    Uint8Array.of(signatureType, 0),
    signature,
    ownerKey,
    ...optionalField(parts.target),
    ...optionalField(anchor),
    countsOf(tags.length, tagBytes.length),
    tagBytes,
    data,
  )
  const id = idOf<MessageId>(signature)
  const owner = ownerFacts(signatureType, ownerKey).address
  return { signatureType, ownerKey, target, anchor, tags, data, id, signature, owner, raw }
}

const bytesOf = (target: ProcessId | undefined): Uint8Array => (target === undefined ? empty : idToBytes(target))

/** Half a character cannot be written as UTF-8: it reads as U+FFFD, here as in the bytes. */
const wellFormed = (tag: Tag): Tag => {
  const { name, value } = tag
  if (name.isWellFormed() && value.isWellFormed()) return tag
  return { name: name.toWellFormed(), value: value.toWellFormed() }
}

function parseUnverified(bytes: Uint8Array, limits: ItemLimits): DataItem {
  const { signatureType, signature, ownerKey, target, anchor, tagCount, tagBytes, data } = splitItem(bytes, limits)
  return {
    id: idOf<MessageId>(signature),
    signatureType,
    signature,
    owner: ownerFacts(signatureType, ownerKey).address,
    ownerKey,
    target: target.length === 0 ? undefined : idFromBytes<ProcessId>(target),
    anchor,
    tags: decodeTags(tagBytes, tagCount),
    data,
    raw: bytes,
  }
}

const empty = new Uint8Array(0)

const absent = Uint8Array.of(0)
const present = Uint8Array.of(1)
const optionalField = (field: Uint8Array): readonly Uint8Array[] => (field.length === 0 ? [absent] : [present, field])

/** Number and bytes of the tags, 64 bits each, little-endian; the limits of tags fit into 16. */
const countsOf = (tags: number, bytes: number): Uint8Array =>
  Uint8Array.of(tags & 255, tags >> 8, 0, 0, 0, 0, 0, 0, bytes & 255, bytes >> 8, 0, 0, 0, 0, 0, 0)

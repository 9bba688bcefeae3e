import { asBuffer, concat, fromBase64Url, utf8 } from '../lib/bytes.ts'
import { AoError, hasCode } from '../lib/errors.ts'
import { encodeTags } from './avro-tags.ts'
import { type DataItem, verifyDataItem } from './data-item.ts'
import type { Id } from './ids.ts'
import { signatureKinds } from './signature-kinds.ts'
import type { Tag } from './tags.ts'

/** What gateways and schedulers show of an item beside its data. Bytes are base64url. */
export interface ShownItem {
  readonly signature: string
  readonly owner: { readonly key: string }
  readonly recipient?: string | null | undefined
  /** Base64url, or 32 characters of text. */
  readonly anchor?: string | null | undefined
  readonly tags: readonly Tag[]
}

/**
 * Puts a gateway's or scheduler's account of an item back into the signed bytes and verifies them, so that nothing of it is
 * taken on trust: a changed tag, owner or byte of data does not match the signature, another signature not the id.
 *
 * @throws AoError `INVALID_DATA_ITEM` if no reading of the fields is the signed item `id`.
 */
export async function rebuildItem(id: Id, meta: ShownItem, data: Uint8Array): Promise<DataItem> {
  for (const bytes of readings(meta, data)) {
    const item = await verified(bytes)
    if (item !== undefined && (item.id as Id) === id) return item
  }
  throw new AoError(
    'INVALID_DATA_ITEM',
    'what is shown under this id is not the signed item',
    { id },
    {
      hint: 'It may be a transaction, or changed by who shows it: ask another gateway.',
    },
  )
}

/** Gateways name neither the signature type nor how they show the anchor; lengths leave few possibilities. */
function* readings(meta: ShownItem, data: Uint8Array): Generator<Uint8Array> {
  const signature = fromBase64Url(meta.signature)
  const ownerKey = fromBase64Url(meta.owner.key)
  const target = fromBase64Url(meta.recipient ?? '')
  if (target.length !== 0 && target.length !== 32) return
  const tags = encodeTags(meta.tags)
  for (const [type, kind] of Object.entries(signatureKinds)) {
    if (kind.ownerBytes !== ownerKey.length || kind.signatureBytes !== signature.length) continue
    for (const anchor of anchorsOf(meta.anchor ?? '')) {
      const head = concat(u16(Number(type)), signature, ownerKey, optional(target), optional(anchor))
      yield concat(head, u64(meta.tags.length), u64(tags.length), tags, data)
    }
  }
}

const anchorsOf = (shown: string): readonly Uint8Array[] =>
  shown === '' ? [new Uint8Array(0)] : [fromBase64Url(shown), utf8(shown)].filter(({ length }) => length === 32)

async function verified(bytes: Uint8Array): Promise<DataItem | undefined> {
  try {
    return await verifyDataItem(bytes, { maxBytes: bytes.length })
  } catch (error) {
    if (hasCode(error, 'INVALID_DATA_ITEM')) return undefined
    throw error
  }
}

/** A presence byte, then the field if there is one. */
const optional = (field: Uint8Array): Uint8Array => concat(Uint8Array.of(field.length === 0 ? 0 : 1), field)

function u16(value: number): Uint8Array {
  const bytes = asBuffer(new Uint8Array(2))
  bytes.writeUInt16LE(value)
  return bytes
}

function u64(value: number): Uint8Array {
  const bytes = asBuffer(new Uint8Array(8))
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

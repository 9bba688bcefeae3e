import { toBase64Url } from '../lib/bytes.ts'
import { AoError, hasCode } from '../lib/errors.ts'
import { bundleTags, unpackBundle } from '../protocol/bundle.ts'
import { type DataItem, verifyDataItem } from '../protocol/data-item.ts'
import type { Id } from '../protocol/ids.ts'
import { hasTag, type Tag } from '../protocol/tags.ts'
import type { NewEntry } from './records.ts'

export interface UnpackedItem {
  readonly entry: NewEntry
  readonly data: Uint8Array
}

/** What a bundle gave, and what it should have given but did not verify: gateways leave such items out. */
export interface Unpacked {
  readonly items: readonly UnpackedItem[]
  readonly refused: number
}

/** Bundles in bundles; deeper ones stay closed. */
const maxDepth = 8
/** Items of one transaction, over all depths. */
const maxItems = 100_000

export const isBundle = (tags: readonly Tag[]): boolean =>
  bundleTags.every(({ name, value }) => hasTag(tags, name, value))

/** A verified item as an entry. */
export const itemEntry = (item: DataItem, bundledIn?: Id): NewEntry => ({
  id: item.id,
  layer: 2,
  owner: item.owner,
  ownerKey: toBase64Url(item.ownerKey),
  signature: toBase64Url(item.signature),
  target: item.target ?? '',
  anchor: toBase64Url(item.anchor),
  tags: item.tags,
  quantity: '0',
  reward: '0',
  dataSize: item.data.length,
  dataRoot: '',
  bundledIn,
})

/** Opens the data of `bundle` and of every bundle inside, outer items first. Each item has been verified. */
export async function unbundle(bundle: Pick<NewEntry, 'id' | 'tags'>, data: Uint8Array): Promise<Unpacked> {
  const items: UnpackedItem[] = []
  let refused = 0
  const open = async (id: Id, bytes: Uint8Array, depth: number): Promise<void> => {
    const inside = entriesOf(bytes)
    if (inside === undefined) refused++
    for (const { id: stated, bytes: raw } of inside ?? []) {
      const item = items.length < maxItems ? await verified(stated, raw) : undefined
      if (item === undefined) {
        refused++
        continue
      }
      items.push({ entry: itemEntry(item, id), data: item.data })
      if (depth < maxDepth && isBundle(item.tags)) await open(item.id, item.data, depth + 1)
    }
  }
  if (isBundle(bundle.tags)) await open(bundle.id, data, 1)
  return { items, refused }
}

/** Undefined if the data is no bundle, whatever its tags say. */
function entriesOf(bytes: Uint8Array): ReturnType<typeof unpackBundle> | undefined {
  try {
    return unpackBundle(bytes, { maxItems })
  } catch (error) {
    if (hasCode(error, 'INVALID_DATA_ITEM')) return undefined
    throw error
  }
}

async function verified(stated: Id, raw: Uint8Array): Promise<DataItem | undefined> {
  try {
    const item = await verifyDataItem(raw, { maxBytes: raw.length })
    return (item.id as Id) === stated ? item : undefined
  } catch (error) {
    if (error instanceof AoError) return undefined
    throw error
  }
}

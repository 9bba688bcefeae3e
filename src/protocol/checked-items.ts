import { type DataItem, defaultItemLimits, type ItemLimits, verifyDataItem } from './data-item.ts'

/** By the very array of bytes, which nobody changes once it is an item's: equal bytes elsewhere are checked anew. */
const checked = new WeakMap<Uint8Array, DataItem>()
/** Being checked now. */
const pending = new WeakMap<Uint8Array, Promise<DataItem>>()

/**
 * As `verifyDataItem`, once for each array of bytes: an item on its way through this program, from a socket to whoever
 * trusts no SU, is looked at by several that each have to be sure.
 *
 * @throws AoError `TOO_LARGE` | `INVALID_DATA_ITEM`
 */
export async function checkedDataItem(bytes: Uint8Array, limits: ItemLimits = defaultItemLimits): Promise<DataItem> {
  if (bytes.length <= limits.maxBytes) {
    const known = checked.get(bytes) ?? (await pending.get(bytes)?.catch(() => undefined))
    if (known !== undefined) return known
  }
  const check = verifyDataItem(bytes, limits)
  pending.set(bytes, check)
  try {
    return noteChecked(await check)
  } finally {
    pending.delete(bytes)
  }
}

/** Told of an item whose signature was checked just now, or made by this program. */
export function noteChecked<T extends DataItem>(item: T): T {
  checked.set(item.raw, item)
  return item
}

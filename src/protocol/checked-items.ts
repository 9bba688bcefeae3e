import { type DataItem, defaultItemLimits, type ItemLimits, parseStoredItem, verifyDataItem } from './data-item.ts'

/**
 * What is known of an array of bytes, kept on the very array, which nobody changes once it is an item's: equal bytes
 * elsewhere are checked anew. Not in a WeakMap, for the garbage collector pays microseconds for each entry of one.
 */
const known = Symbol('what is known of these bytes')
/** Its item; or the check under way; or that its signature is good, and nobody has read it yet. */
type Known = DataItem | Promise<DataItem> | 'good'

/**
 * As `verifyDataItem`, once for each array of bytes: an item on its way through this program, from a socket to whoever
 * trusts no SU, is looked at by several that each have to be sure.
 *
 * @param verify `verifyDataItemAside` where many come at once.
 * @throws AoError `TOO_LARGE` | `INVALID_DATA_ITEM`, and what `verify` throws besides
 */
export async function checkedDataItem(
  bytes: Uint8Array,
  limits: ItemLimits = defaultItemLimits,
  verify: typeof verifyDataItem = verifyDataItem,
): Promise<DataItem> {
  if (bytes.length <= limits.maxBytes) {
    const earlier = knownOf(bytes)
    if (earlier === 'good') return noteChecked(parseStoredItem(bytes))
    const item = earlier instanceof Promise ? await earlier.catch(() => undefined) : earlier
    if (item !== undefined) return item
  }
  const check = verify(bytes, limits)
  note(bytes, check)
  try {
    return noteChecked(await check)
  } catch (error) {
    note(bytes, undefined)
    throw error
  }
}

/** Told of an item whose signature was checked just now, or made by this program. */
export function noteChecked<T extends DataItem>(item: T): T {
  note(item.raw, item)
  return item
}

/** Told of the bytes of an item that this program made and has not read. */
export const noteGood = (bytes: Uint8Array): void => note(bytes, 'good')

const knownOf = (bytes: Uint8Array & { readonly [known]?: Known }): Known | undefined => bytes[known]

/** Out of sight: neither copied nor compared with the bytes. */
function note(bytes: Uint8Array, value: Known | undefined): void {
  Object.defineProperty(bytes, known, { value, configurable: true })
}

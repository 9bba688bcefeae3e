import { checkedDataItem } from '../../protocol/checked-items.ts'
import type { DataItem, ItemLimits } from '../../protocol/data-item.ts'
import { parseAoItem } from '../../protocol/message.ts'

/**
 * What an MU refuses at the door: bytes that are no signed item, are too large, or lack the tags of a Message or Process.
 *
 * @throws AoError `INVALID_DATA_ITEM` | `TOO_LARGE`
 */
export async function verifyAtDoor(bytes: Uint8Array, limits: ItemLimits): Promise<DataItem> {
  const item = await checkedDataItem(bytes, limits)
  parseAoItem(item)
  return item
}

import { checkedDataItem } from '../../protocol/checked-items.ts'
import { type DataItem, type ItemLimits, verifyDataItemAside } from '../../protocol/data-item.ts'
import { parseAoItem } from '../../protocol/message.ts'

/**
 * What an MU refuses at the door: bytes that are no signed item, are too large, or lack the tags of a Message or Process.
 *
 * @throws AoError `INVALID_DATA_ITEM` | `TOO_LARGE`, and `OVERLOADED` by the threads that check
 */
export async function verifyAtDoor(bytes: Uint8Array, limits: ItemLimits): Promise<DataItem> {
  const item = await checkedDataItem(bytes, limits, verifyDataItemAside)
  parseAoItem(item)
  return item
}

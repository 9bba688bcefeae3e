import { unpackBundle } from '../../protocol/bundle.ts'
import { type DataItem, verifyDataItem } from '../../protocol/data-item.ts'

/** Items whose signature is good, in the order of the bundle. What is broken is nothing, for everybody alike. */
export async function readableItems(bytes: Uint8Array): Promise<readonly DataItem[]> {
  const items: DataItem[] = []
  let entries: ReturnType<typeof unpackBundle>
  try {
    entries = unpackBundle(bytes)
  } catch {
    return []
  }
  for (const entry of entries) {
    try {
      items.push(await verifyDataItem(entry.bytes))
    } catch {}
  }
  return items
}

import type { AbortOptions } from '../../lib/abort.ts'
import { fromBase64Url, toUtf8 } from '../../lib/bytes.ts'
import { unpackBundle } from '../../protocol/bundle.ts'
import { type DataItem, verifyDataItem } from '../../protocol/data-item.ts'
import type { Id, MessageId } from '../../protocol/ids.ts'

/** An item on Arweave; undefined if it is not there (yet). */
export type ReadItem = (id: Id, options: AbortOptions) => Promise<DataItem | undefined>

/**
 * A message that somebody has shown to AO-Sec Origin, out of the Data of the message that did so.
 *
 * @throws AoError `INVALID_DATA_ITEM` if nothing there can be read.
 */
export async function shownMessage(
  read: ReadItem,
  { message, shownIn }: { message: MessageId; shownIn: string },
  options: AbortOptions,
): Promise<DataItem | undefined> {
  const asked = await read(shownIn as Id, options)
  if (asked === undefined) return undefined
  const [first] = unpackBundle(fromBase64Url(toUtf8(asked.data)), { maxItems: 2 })
  const found = first && (await verifyDataItem(first.bytes))
  return found?.id === message ? found : undefined
}

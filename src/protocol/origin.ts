import type { Brand } from '../lib/brand.ts'
import { cronTextPattern } from './cron.ts'
import type { DataItem } from './data-item.ts'
import { type Address, isId } from './ids.ts'
import { tagValue } from './tags.ts'

/** One part of one Result's outbox: `<From-Process> <From-Nonce> <From-Index>`, the same whichever MU pushes it. */
export type Origin = Brand<string, 'Origin'>

/** What the tags of a pushed item say; undefined for an item that nobody pushed. Anybody may write such tags. */
export function claimedOrigin({ tags }: Pick<DataItem, 'tags'>): Origin | undefined {
  const process = tagValue(tags, 'From-Process')
  const nonce = tagValue(tags, 'From-Nonce')
  const index = tagValue(tags, 'From-Index')
  if (!isId(process) || !isSource(nonce) || !isPlace(index)) return undefined
  return `${process} ${nonce} ${index}` as Origin
}

/** As `claimedOrigin`, for items signed by one whom the Process believes: only theirs may stand for each other. */
export const originOf = (
  item: Pick<DataItem, 'tags' | 'owner'>,
  authorities: readonly Address[],
): Origin | undefined => (authorities.includes(item.owner) ? claimedOrigin(item) : undefined)

/** A nonce, or a cron message after it. */
function isSource(text: string | undefined): text is string {
  const [nonce, ...cron] = text?.split(' ') ?? []
  return isPlace(nonce) && (cron.length === 0 || cronTextPattern.test(cron.join(' ')))
}

const isPlace = (text: string | undefined): text is string => text !== undefined && /^(0|[1-9][0-9]{0,15})$/.test(text)

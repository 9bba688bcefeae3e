import { AoError } from '../lib/errors.ts'
import { isId, type MessageId } from './ids.ts'
import { type Tag, tagValue } from './tags.ts'

/** Says that a Process boots from its own data, which the module reads by itself. */
const ownData = 'Data'

/** The item on Arweave that a Process boots from; undefined if there is none. */
export function onBootItem(tags: readonly Tag[]): MessageId | undefined {
  const value = tagValue(tags, 'On-Boot')
  return isId(value) ? (value as MessageId) : undefined
}

/** @throws AoError `INVALID_DATA_ITEM` if a tag `On-Boot` is neither an id nor `Data`. */
export function assertOnBoot(tags: readonly Tag[]): void {
  const value = tagValue(tags, 'On-Boot')
  if (value === undefined || value === ownData || isId(value)) return
  throw new AoError(
    'INVALID_DATA_ITEM',
    'Invalid tx id for On-Boot tag',
    { value: value.slice(0, 64) },
    { hint: 'Name an item on Arweave by its id of 43 characters, or write Data to boot from the data of the Process.' },
  )
}

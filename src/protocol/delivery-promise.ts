import { AoError } from '../lib/errors.ts'
import type { DataItem, Draft } from './data-item.ts'
import { type Address, type Id, type MessageId, type ProcessId, parseId, parseNonce } from './ids.ts'
import { hasTag, requireTag, tagsOf } from './tags.ts'

/** An MU's signed word that a message will be ordered by a height of Arweave: what F8 holds it to. */
export interface DeliveryPromise {
  readonly id: Id
  readonly messenger: Address
  readonly process: ProcessId
  readonly message: MessageId
  /** Block height. */
  readonly deadline: number
}

export const draftPromise = ({
  process,
  message,
  deadline,
}: Pick<DeliveryPromise, 'process' | 'message' | 'deadline'>): Draft => ({
  data: new Uint8Array(0),
  tags: tagsOf(
    ['Data-Protocol', 'ao'],
    ['Type', 'Delivery-Promise'],
    ['Variant', 'aonet.1'],
    ['Process', process],
    ['Message', message],
    ['Deadline', String(deadline)],
  ),
})

/** @throws AoError `INVALID_RECORD` if the item is no promise. */
export function parsePromise(item: DataItem): DeliveryPromise {
  const { tags } = item
  try {
    if (!hasTag(tags, 'Type', 'Delivery-Promise')) throw new AoError('INVALID_ARGUMENT', 'Type is not Delivery-Promise')
    return {
      id: item.id,
      messenger: item.owner,
      process: parseId<ProcessId>(requireTag(tags, 'Process'), 'Process'),
      message: parseId<MessageId>(requireTag(tags, 'Message'), 'Message'),
      deadline: parseNonce(requireTag(tags, 'Deadline'), 'Deadline'),
    }
  } catch (cause) {
    const reason = cause instanceof AoError ? cause.message : 'it cannot be read'
    throw new AoError('INVALID_RECORD', `not a promise: ${reason}`, { id: item.id }, { cause })
  }
}

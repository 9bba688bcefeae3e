import { isUtf8 } from 'node:buffer'
import { toBase64Url, toUtf8 } from '../lib/bytes.ts'
import type { Json } from '../lib/json.ts'
import type { Assignment, ScheduledMessage } from '../protocol/assignment.ts'
import { type DataItem, parseStoredItem } from '../protocol/data-item.ts'

type Fields = { readonly [key: string]: Json }
export interface JsonOptions {
  /** Anchors as base64url rather than as text. */
  readonly encodeAnchor: boolean
}

/** A row of a schedule as SUs show it: `{ message, assignment }`; without `message` an item of Arweave is assigned. */
export const nodeToJson = ({ assignment, message }: ScheduledMessage, options: JsonOptions): Fields => ({
  message: message === undefined ? null : itemToJson(message, options),
  assignment: assignmentToJson(assignment),
})

/** A Process as SUs show it. `data` is null when it is not text. */
export function processToJson(item: DataItem, { blockHeight, timestamp }: Assignment): Fields {
  const { id, data, ...fields } = itemToJson(item, { encodeAnchor: false })
  return {
    process_id: id ?? null,
    block: paddedHeight(blockHeight),
    timestamp,
    data: isUtf8(item.data) ? (data ?? null) : null,
    ...fields,
  }
}

/** 12 digits, as schedulers write heights. */
export const paddedHeight = (height: number): string => String(height).padStart(12, '0')

const itemToJson = (item: DataItem, { encodeAnchor }: JsonOptions): Fields => ({
  id: item.id,
  ...signedBy(item),
  data: toUtf8(item.data),
  anchor: item.anchor.length === 0 ? null : encodeAnchor ? toBase64Url(item.anchor) : toUtf8(item.anchor),
  target: item.target ?? null,
})

const assignmentToJson = ({ id, raw }: Assignment): Fields => ({
  id,
  ...signedBy(parseStoredItem(raw)),
  anchor: null,
  target: '',
})

const signedBy = ({ owner, ownerKey, tags, signature }: DataItem): Fields => ({
  owner: { address: owner, key: toBase64Url(ownerKey) },
  tags: tags.map(({ name, value }) => ({ name, value })),
  signature: toBase64Url(signature),
})

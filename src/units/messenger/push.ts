import { utf8 } from '../../lib/bytes.ts'
import { AoError } from '../../lib/errors.ts'
import { type CronPlace, cronText } from '../../protocol/cron.ts'
import type { Draft } from '../../protocol/data-item.ts'
import { type Address, isId, type MessageId, type Nonce, type ProcessId } from '../../protocol/ids.ts'
import type { ProcessSpec } from '../../protocol/message.ts'
import type { OutboxMessage, OutboxSpawn } from '../../protocol/result.ts'
import { type Tag, tagsOf, tagValue, withoutTags } from '../../protocol/tags.ts'

/** Whose outbox a part is from, and its place in it. Part of what is signed, so equal outputs stay two messages. */
export interface PushedFrom {
  readonly process: ProcessId
  readonly spec: ProcessSpec
  readonly nonce: Nonce
  /** Place in the outbox over all kinds. */
  readonly index: number
  /** The user's message that set it off; none for a cron message. */
  readonly root: MessageId | undefined
  /** The cron message after `nonce` that it is from. */
  readonly cron?: CronPlace | undefined
}

/** Only the MU may say these: a Process that writes them itself is not believed. */
const pushTags = ['From-Process', 'From-Module', 'Pushed-For', 'From-Nonce', 'From-Index']

/**
 * An outbox message as the item the MU signs: a pure function, so that pushing again after a crash gives the same id.
 *
 * @throws AoError `INVALID_DATA_ITEM` if the target cannot stand in an item.
 */
export function draftPushed(part: OutboxMessage, from: PushedFrom): Draft {
  return {
    target: targetOf(part.target),
    anchor: part.anchor,
    data: dataOf(part.data),
    tags: [
      ...withoutTags(part.tags, ['Data-Protocol', 'Type', 'Assignments', ...pushTags]),
      ...tagsOf(['Data-Protocol', 'ao'], ['Type', 'Message']),
      ...originTags(from),
    ],
  }
}

/** A spawn as the Process item the MU signs. Its scheduler is the parent's unless it names one. */
export const draftSpawn = (part: OutboxSpawn, from: PushedFrom): Draft => ({
  data: dataOf(part.data),
  tags: [
    ...withoutTags(part.tags, ['Data-Protocol', 'Type', 'Variant', ...pushTags]),
    ...tagsOf(
      ['Variant', variantOf(part.tags)],
      ['Data-Protocol', 'ao'],
      ['Type', 'Process'],
      ['Scheduler', tagValue(part.tags, 'Scheduler') === undefined ? from.spec.scheduler : undefined],
    ),
    ...originTags(from),
  ],
})

/** What tells the parent the id of its child. It keeps the spawn's tags: aos waits for its own Reference. */
export const draftSpawned = (part: OutboxSpawn, child: ProcessId, from: PushedFrom): Draft => ({
  target: from.process,
  data: dataOf(''),
  tags: [
    ...withoutTags(part.tags, ['Data-Protocol', 'Type', 'Variant', 'Process', 'Action', ...pushTags]),
    ...tagsOf(
      ['Data-Protocol', 'ao'],
      ['Type', 'Message'],
      ['Process', child],
      ['Action', 'Spawned'],
      ['Variant', variantOf(part.tags)],
    ),
    ...originTags(from),
  ],
})

const originTags = ({ process, spec, nonce, index, root, cron }: PushedFrom): readonly Tag[] =>
  tagsOf(
    ['From-Process', process],
    ['From-Module', spec.module],
    ['Pushed-For', root],
    ['From-Nonce', cron === undefined ? String(nonce) : `${nonce} ${cronText(cron)}`],
    ['From-Index', String(index)],
  )

const variantOf = (tags: readonly Tag[]): string => (tagValue(tags, 'Variant') === 'ao.N.1' ? 'ao.N.1' : 'ao.TN.1')

/** Empty data becomes one space, as every AO client writes it: bundlers refuse items without data. */
const dataOf = (data: string): Uint8Array => utf8(data === '' ? ' ' : data)

function targetOf(target: string): ProcessId | Address {
  if (isId(target)) return target as ProcessId
  throw new AoError(
    'INVALID_DATA_ITEM',
    'the target is neither a Process nor a wallet with an Arweave address',
    { target: target.slice(0, 64) },
    { hint: 'Send to an id of 43 base64url characters.' },
  )
}

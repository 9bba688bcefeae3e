import { AoError } from '../lib/errors.ts'
import type { DataItem, Draft } from './data-item.ts'
import { firstLink, nextLink } from './hash-chain.ts'
import {
  type Address,
  type AssignmentId,
  type Id,
  type MessageId,
  type Nonce,
  nextNonce,
  type ProcessId,
  parseId,
  parseNonce,
} from './ids.ts'
import { hasTag, requireTag, type Tag, tagValue, tagValues } from './tags.ts'

/** The SU's signed promise that `message` is number `nonce` of `process`. */
export interface Assignment {
  readonly id: AssignmentId
  /** Who signed: the Scheduler Unit. */
  readonly scheduler: Address
  readonly process: ProcessId
  /** The Process's own id at nonce 0. */
  readonly message: MessageId
  readonly epoch: number
  readonly nonce: Nonce
  /** 43 base64url characters. */
  readonly hashChain: string
  /** Milliseconds since the Unix epoch, never before the previous one. */
  readonly timestamp: number
  readonly blockHeight: number
  readonly blockHash: string
  /** Milliseconds since the Unix epoch. */
  readonly blockTimestamp: number
  /** Fields of an assigned item that the Process does not see. */
  readonly exclude: readonly string[]
  /** The exact signed bytes. */
  readonly raw: Uint8Array
}

/** `message` is absent when the Assignment names an item that is already on Arweave. */
export interface ScheduledMessage {
  readonly assignment: Assignment
  readonly message?: DataItem | undefined
}

/** A block of Arweave as the SU saw it last. `timestamp` in milliseconds. */
export interface BlockAnchor {
  readonly height: number
  readonly hash: string
  readonly timestamp: number
}

export type AssignmentFields = Omit<Assignment, 'id' | 'scheduler' | 'raw'>

/** What an SU decides before it signs. The hash chain is not its choice: it follows from the Assignment before. */
export type AssignmentPlan = Omit<AssignmentFields, 'hashChain'>

/** What comes after `previous` (nothing at nonce 0). Never goes back in time or height, whatever the clock says. */
export function planAssignment(
  previous: AssignmentPlan | undefined,
  next: {
    process: ProcessId
    message: MessageId
    now: number
    block: BlockAnchor
    exclude?: readonly string[] | undefined
    /** Of this host's turn; default: as before. */
    epoch?: number | undefined
  },
): AssignmentPlan {
  const { process, message, now, block, exclude = [], epoch = 0 } = next
  const keepBlock = previous !== undefined && previous.blockHeight > block.height
  return {
    process,
    message,
    epoch: Math.max(epoch, previous?.epoch ?? 0),
    nonce: nextNonce(previous?.nonce),
    timestamp: Math.max(now, previous?.timestamp ?? 0),
    blockHeight: keepBlock ? previous.blockHeight : block.height,
    blockHash: keepBlock ? previous.blockHash : block.hash,
    blockTimestamp: keepBlock ? previous.blockTimestamp : block.timestamp,
    exclude,
  }
}

/** What the next Assignment is linked to. */
export type Link = Pick<Assignment, 'id' | 'hashChain'>

/** A plan with its link to the Assignment before it (none at nonce 0). */
export const linkPlan = (plan: AssignmentPlan, previous: Link | undefined): AssignmentFields => ({
  ...plan,
  hashChain: previous === undefined ? firstLink(plan.process) : nextLink(previous),
})

/** The fields of the Assignment that follows `previous`. */
export const nextAssignment = (
  previous: Assignment | undefined,
  next: Parameters<typeof planAssignment>[1],
): AssignmentFields => linkPlan(planAssignment(previous, next), previous)

/** The item a scheduler signs. Order of tags as the reference SU writes them; ours end with the block's hash and time. */
export function draftAssignment(fields: AssignmentFields): Draft {
  const tags: Tag[] = [
    { name: 'Process', value: fields.process },
    { name: 'Epoch', value: String(fields.epoch) },
    { name: 'Nonce', value: String(fields.nonce) },
    { name: 'Hash-Chain', value: fields.hashChain },
    { name: 'Block-Height', value: String(fields.blockHeight).padStart(12, '0') },
    { name: 'Timestamp', value: String(fields.timestamp) },
    { name: 'Data-Protocol', value: 'ao' },
    { name: 'Type', value: 'Assignment' },
    { name: 'Variant', value: 'ao.TN.1' },
  ]
  if (fields.nonce !== 0) tags.push({ name: 'Message', value: fields.message })
  for (const value of fields.exclude) tags.push({ name: 'Exclude', value })
  tags.push(
    { name: 'Block-Hash', value: fields.blockHash },
    { name: 'Block-Timestamp', value: String(fields.blockTimestamp) },
  )
  return { data: noData, tags }
}

const noData = new Uint8Array(0)

/** What `parseAssignment` would read from the item that was just signed with these fields. */
export const signedAssignment = (fields: AssignmentFields, { id, owner, raw }: DataItem): Assignment => ({
  ...fields,
  id: id as Id as AssignmentId,
  scheduler: owner,
  raw,
})

/** @throws AoError `INVALID_ASSIGNMENT` if the item's tags are not those of an Assignment. */
export function parseAssignment(item: DataItem): Assignment {
  const { tags } = item
  try {
    if (!hasTag(tags, 'Data-Protocol', 'ao') || !hasTag(tags, 'Type', 'Assignment')) {
      throw new AoError('INVALID_ARGUMENT', 'the item is not of Type Assignment')
    }
    const process = parseId<ProcessId>(requireTag(tags, 'Process'), 'Process')
    const message = tagValue(tags, 'Message')
    const number = (name: string): number => parseNonce(requireTag(tags, name).replace(/^0+(?=[0-9])/, ''), name)
    return {
      id: item.id as Id as AssignmentId,
      scheduler: item.owner,
      process,
      message: message === undefined ? (process as Id as MessageId) : parseId<MessageId>(message, 'Message'),
      epoch: number('Epoch'),
      nonce: number('Nonce') as Nonce,
      hashChain: parseId(requireTag(tags, 'Hash-Chain'), 'Hash-Chain'),
      timestamp: number('Timestamp'),
      blockHeight: number('Block-Height'),
      blockHash: tagValue(tags, 'Block-Hash') ?? '',
      blockTimestamp: parseNonce(tagValue(tags, 'Block-Timestamp') ?? '0', 'Block-Timestamp'),
      exclude: tagValues(tags, 'Exclude'),
      raw: item.raw,
    }
  } catch (cause) {
    const reason = cause instanceof AoError ? cause.message : 'it cannot be read'
    throw new AoError('INVALID_ASSIGNMENT', `not an Assignment: ${reason}`, { id: item.id }, { cause })
  }
}

/**
 * Does `next` follow `previous` (or begin the schedule of `process`) as an honest scheduler would write it?
 *
 * @throws AoError `NONCE_GAP` if history is missing here; `INVALID_ASSIGNMENT` naming what does not follow.
 */
export function checkFollows(process: ProcessId, previous: Assignment | undefined, next: Assignment): void {
  const broken = (what: string): AoError =>
    new AoError('INVALID_ASSIGNMENT', `the schedule is broken: ${what}`, { process, nonce: next.nonce, id: next.id })
  if (next.process !== process) throw broken('the Assignment is of another Process')
  const expected = nextNonce(previous?.nonce)
  if (next.nonce > expected) {
    throw new AoError('NONCE_GAP', 'assignments are missing', { process, expected, nonce: next.nonce })
  }
  if (next.nonce < expected) throw broken('the nonce was given before')
  if (previous === undefined) {
    if (next.hashChain !== firstLink(process)) throw broken('the hash chain does not begin at the Process')
    if ((next.message as Id) !== (process as Id)) throw broken('nonce 0 is not the Process item')
    return
  }
  if (next.hashChain !== nextLink(previous)) throw broken('the hash chain does not link')
  if (next.epoch < previous.epoch) throw broken('the epoch goes back')
  if (next.timestamp < previous.timestamp) throw broken('the timestamp goes back')
  if (next.blockHeight < previous.blockHeight) throw broken('the block height goes back')
}

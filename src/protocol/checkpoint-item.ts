import { AoError } from '../lib/errors.ts'
import { canonicalJson, type Json } from '../lib/json.ts'
import type { Assignment } from './assignment.ts'
import { type CronPlace, parseCronText } from './cron.ts'
import type { DataItem, Draft } from './data-item.ts'
import {
  type Address,
  type AssignmentId,
  type Id,
  type ModuleId,
  type Nonce,
  type ProcessId,
  parseId,
  parseNonce,
} from './ids.ts'
import { hasTag, requireTag, type Tag, tagsOf, tagValue } from './tags.ts'

/**
 * A checkpoint on Arweave: the tags of the reference CU, whose data is the gzipped memory, and what of the state a memory
 * does not hold in one more tag. Signed by the CU that was there. Between two messages it stands after a cron message:
 * `Timestamp`, `Block-Height` and `Cron-Interval` are that one's.
 *
 * Source: permaweb/ao servers/cu/src/effects/ao-process.js; `State-Root` and `State` are ours.
 */
export interface PublishedCheckpoint {
  readonly owner: Address
  readonly process: ProcessId
  readonly module: ModuleId
  readonly nonce: Nonce
  readonly cron: CronPlace | undefined
  readonly assignment: AssignmentId
  readonly hashChain: string
  /** Hexadecimal, of the memory. */
  readonly sha256: string
  readonly stateRoot: Id
  readonly rest: RestOfState
}

/** What goes on from the state beside its memory. */
export interface RestOfState {
  readonly memoryBytes: number
  /** Each mutable global as 64 bits. */
  readonly globals: readonly bigint[]
  readonly applied: number
  readonly attestedRoot: Id
  readonly meter: string
  readonly counters: Json
  readonly notes: Json
}

/** By which a gateway finds the checkpoints of a Process. */
export const checkpointTags = (process: ProcessId): readonly Tag[] =>
  tagsOf(['Data-Protocol', 'ao'], ['Type', 'Checkpoint'], ['Process', process])

/** @param given.data the gzipped memory. */
export function draftCheckpoint(given: {
  readonly assignment: Assignment
  /** The cron message it stands after, if it does. */
  readonly cron?: CronPlace | undefined
  readonly module: ModuleId
  readonly sha256: string
  readonly stateRoot: Id
  readonly rest: RestOfState
  readonly data: Uint8Array
}): Draft {
  const { assignment, cron, rest } = given
  const { timestamp, blockHeight } = cron ?? assignment
  return {
    data: given.data,
    tags: tagsOf(
      ['Data-Protocol', 'ao'],
      ['Variant', 'ao.TN.1'],
      ['Type', 'Checkpoint'],
      ['Module', given.module],
      ['Process', assignment.process],
      ['Epoch', String(assignment.epoch)],
      ['Nonce', String(assignment.nonce)],
      ['Assignment', assignment.id],
      ['Hash-Chain', assignment.hashChain],
      ['Timestamp', String(timestamp)],
      ['Block-Height', String(blockHeight)],
      ...(cron === undefined ? [] : [['Cron-Interval', cron.id] as const]),
      ['Ordinate', String(assignment.nonce)],
      ['Content-Type', 'application/octet-stream'],
      ['SHA-256', given.sha256],
      ['Content-Encoding', 'gzip'],
      ['State-Root', given.stateRoot],
      ['State', canonicalJson({ ...rest, globals: rest.globals.map(String) })],
    ),
  }
}

/** @throws AoError `INVALID_RECORD` if the item is not such a checkpoint: those of other CUs lack what ours need. */
export function parseCheckpoint(item: DataItem): PublishedCheckpoint {
  const { tags } = item
  try {
    if (!hasTag(tags, 'Type', 'Checkpoint') || !hasTag(tags, 'Content-Encoding', 'gzip')) {
      throw new AoError('INVALID_ARGUMENT', 'it is not a gzipped Checkpoint')
    }
    return {
      owner: item.owner,
      process: parseId<ProcessId>(requireTag(tags, 'Process'), 'Process'),
      module: parseId<ModuleId>(requireTag(tags, 'Module'), 'Module'),
      nonce: parseNonce(requireTag(tags, 'Nonce')),
      cron: cronPlaceOf(tags),
      assignment: parseId<AssignmentId>(requireTag(tags, 'Assignment'), 'Assignment'),
      hashChain: requireTag(tags, 'Hash-Chain'),
      sha256: requireTag(tags, 'SHA-256'),
      stateRoot: parseId(requireTag(tags, 'State-Root'), 'State-Root'),
      rest: parseRest(JSON.parse(requireTag(tags, 'State')) as Record<string, Json>),
    }
  } catch (cause) {
    const reason = cause instanceof AoError ? cause.message : 'it cannot be read'
    throw new AoError('INVALID_RECORD', `not a checkpoint of ours: ${reason}`, { id: item.id }, { cause })
  }
}

function cronPlaceOf(tags: readonly Tag[]): CronPlace | undefined {
  const id = tagValue(tags, 'Cron-Interval')
  return id === undefined
    ? undefined
    : parseCronText(`${requireTag(tags, 'Timestamp')} ${requireTag(tags, 'Block-Height')} ${id}`)
}

function parseRest({
  memoryBytes,
  globals,
  applied,
  attestedRoot,
  meter,
  counters,
  notes,
}: Record<string, Json>): RestOfState {
  if (!Array.isArray(globals) || typeof meter !== 'string')
    throw new AoError('INVALID_ARGUMENT', 'its State is not whole')
  return {
    memoryBytes: parseNonce(memoryBytes, 'memoryBytes'),
    globals: globals.map(value => BigInt.asUintN(64, BigInt(String(value)))),
    applied: parseNonce(applied, 'applied'),
    attestedRoot: parseId(attestedRoot, 'attestedRoot'),
    meter,
    counters: counters ?? null,
    notes: notes ?? null,
  }
}

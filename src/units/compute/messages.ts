import { toBase64Url, toUtf8 } from '../../lib/bytes.ts'
import type { Json } from '../../lib/json.ts'
import type { DryRunMessage } from '../../ports/units.ts'
import type { VmEnvironment, VmMessage } from '../../ports/vm.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import type { CronTick } from '../../protocol/cron.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { Id, ProcessId } from '../../protocol/ids.ts'
import { type Tag, tagValue, withoutTags } from '../../protocol/tags.ts'
import type { SeenItem } from '../assigned-item.ts'

/**
 * A scheduled message as the module sees it. A pure function of the two signed items, so that it is equal on every
 * node. `From` is on whose behalf: the first `From-Process` tag, else the signer. An assigned item keeps its own target,
 * so a Process sees that it is not for it; fields that the Assignment excludes are left out.
 *
 * Source: permaweb/ao servers/cu/src/effects/ao-su.js `mapNode`; Block-Hash and Block-Timestamp are ours.
 */
export function toVmMessage({ assignment, message }: { assignment: Assignment; message: SeenItem }): VmMessage {
  const fromProcess = tagValue(message.tags, 'From-Process')
  const { exclude, nonce, process } = assignment
  const seen = (field: string, value: Json): VmMessage => (exclude.includes(field) ? {} : { [field]: value })
  const assigned = nonce > 0 && message.target !== process
  return {
    Id: message.id,
    ...seen('Signature', toBase64Url(message.signature)),
    ...seen('Data', toUtf8(message.data)),
    Owner: message.owner,
    Target: nonce === 0 ? process : (message.target ?? ''),
    ...seen('Anchor', toUtf8(message.anchor)),
    From: fromProcess ?? message.owner,
    ...(fromProcess === undefined ? {} : { 'Forwarded-By': message.owner }),
    // A list in any case: modules walk it.
    Tags: exclude.includes('Tags') ? [] : visibleTags(message.tags),
    ...(assigned ? { Message: message.id } : {}),
    Epoch: assignment.epoch,
    Nonce: assignment.nonce,
    Timestamp: assignment.timestamp,
    'Block-Height': assignment.blockHeight,
    'Block-Hash': assignment.blockHash,
    'Block-Timestamp': assignment.blockTimestamp,
    'Hash-Chain': assignment.hashChain,
    Cron: false,
    'Read-Only': false,
  }
}

/** A cron message: from the owner of the Process, without an id or a nonce of its own. */
export const toCronMessage = (process: DataItem, { place, tags }: CronTick): VmMessage => ({
  Owner: process.owner,
  Target: process.id,
  From: process.owner,
  Tags: visibleTags(tags),
  Timestamp: place.timestamp,
  'Block-Height': place.blockHeight,
  Cron: true,
})

/** A message for a dry-run, placed at the time of the last message that was applied. */
export function toDryRunMessage(process: ProcessId, message: DryRunMessage, last: Assignment): VmMessage {
  const place = {
    Timestamp: last.timestamp,
    'Block-Height': last.blockHeight,
    'Block-Hash': last.blockHash,
    'Block-Timestamp': last.blockTimestamp,
  }
  return {
    ...place,
    ...message.fields,
    Id: message.id ?? '1234', // what aoconnect sends when its caller names none
    Owner: message.owner,
    From: message.from ?? tagValue(message.tags, 'From-Process') ?? message.owner,
    Target: process,
    Tags: visibleTags(message.tags),
    Data: message.data,
    Anchor: message.anchor ?? '0',
    'Read-Only': true,
    Cron: false,
  }
}

/** What a Process sees of itself and of its Module. */
export const environmentOf = (process: DataItem, module: DataItem): VmEnvironment => ({
  Process: { Id: process.id as Id as ProcessId, Owner: process.owner, Tags: process.tags },
  Module: { Id: module.id, Owner: module.owner, Tags: module.tags },
})

/** Tags named From and Owner would shadow the fields of those names inside a module. */
const visibleTags = (tags: readonly Tag[]): Json =>
  withoutTags(tags, ['From', 'Owner']).map(({ name, value }) => ({ name, value }))

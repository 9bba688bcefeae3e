import { AoError } from '../lib/errors.ts'
import type { DataItem } from './data-item.ts'
import { type Address, type Id, type ModuleId, type ProcessId, parseAddress, parseId } from './ids.ts'
import { hasTag, requireTag, type Tag, tagValue, tagValues } from './tags.ts'

/** What an AO item says it is. The Process item of a spawn has its own id as its Process. */
export type AoItem =
  | { readonly type: 'Process'; readonly process: ProcessId; readonly spec: ProcessSpec; readonly item: DataItem }
  | { readonly type: 'Message'; readonly process: ProcessId; readonly item: DataItem }

/** The tags of a Process item that units act on. */
export interface ProcessSpec {
  readonly module: ModuleId
  readonly scheduler: Address
  /** The addresses whose pushed messages this Process believes. */
  readonly authorities: readonly Address[]
}

/** The tags of a Module item that a CU acts on. */
export interface ModuleSpec {
  readonly format: string
  readonly inputEncoding: string
  readonly outputEncoding: string
  /** Bytes, from `Memory-Limit` such as `1-gb`. */
  readonly memoryLimit: number | undefined
  /** Gas units, from `Compute-Limit`. */
  readonly computeLimit: bigint | undefined
}

/**
 * Sorts a verified item by its `Type` tag; of `Process` and `Message` the earlier one decides, as in the reference MU.
 *
 * @throws AoError `INVALID_DATA_ITEM` naming the tag that is missing or wrong.
 */
export function parseAoItem(item: DataItem): AoItem {
  if (!hasTag(item.tags, 'Data-Protocol', 'ao')) throw wrongTag('Data-Protocol', 'ao', item.tags)
  const link = item.tags.find(tag => tag.name.endsWith('+link') || tag.value.endsWith('+link'))
  if (link !== undefined) throw invalid('a tag ends in +link, which schedulers refuse', { tag: link.name })
  const type = tagValues(item.tags, 'Type').find(value => value === 'Process' || value === 'Message')
  if (type === 'Process') {
    return { type, process: item.id as Id as ProcessId, spec: parseProcessSpec(item.tags), item }
  }
  if (type !== 'Message') throw wrongTag('Type', 'Message or Process', item.tags)
  if (item.target === undefined) throw invalid('a Message needs a target: the id of its Process', { id: item.id })
  return { type, process: item.target, item }
}

/** @throws AoError `INVALID_DATA_ITEM` */
export function parseProcessSpec(tags: readonly Tag[]): ProcessSpec {
  const authorities = tagValues(tags, 'Authority').flatMap(value => value.split(','))
  return {
    module: field(() => parseId<ModuleId>(requireTag(tags, 'Module'), 'Module')),
    scheduler: field(() => parseAddress(requireTag(tags, 'Scheduler'), 'Scheduler')),
    authorities: authorities.map(value => value.trim()).filter(value => value !== '') as Address[],
  }
}

/** @throws AoError `INVALID_DATA_ITEM` unless the item is an AO Module. */
export function parseModuleSpec(item: DataItem): ModuleSpec {
  const { tags } = item
  if (!hasTag(tags, 'Data-Protocol', 'ao')) throw wrongTag('Data-Protocol', 'ao', tags)
  if (!hasTag(tags, 'Type', 'Module')) throw wrongTag('Type', 'Module', tags)
  return {
    format: requireTag(tags, 'Module-Format'),
    inputEncoding: requireTag(tags, 'Input-Encoding'),
    outputEncoding: requireTag(tags, 'Output-Encoding'),
    memoryLimit: parseMemoryLimit(tagValue(tags, 'Memory-Limit')),
    computeLimit: parseComputeLimit(tagValue(tags, 'Compute-Limit')),
  }
}

const memoryUnits: Readonly<Record<string, number>> = { b: 1, kb: 2 ** 10, mb: 2 ** 20, gb: 2 ** 30 }

/** Bytes of `N-unit`, such as `500-mb`; undefined without a tag. @throws AoError `INVALID_DATA_ITEM` */
export function parseMemoryLimit(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, count, unit] = /^([0-9]{1,9})-?(b|kb|mb|gb)$/i.exec(text) ?? []
  const size = memoryUnits[unit?.toLowerCase() ?? '']
  if (count === undefined || size === undefined) throw invalid('Memory-Limit is not like 500-mb', { value: text })
  return Number(count) * size
}

/** Gas units; undefined without a tag. @throws AoError `INVALID_DATA_ITEM` */
export function parseComputeLimit(text: string | undefined): bigint | undefined {
  if (text === undefined) return undefined
  if (!/^[0-9]{1,19}$/.test(text)) throw invalid('Compute-Limit is not a whole number', { value: text.slice(0, 32) })
  return BigInt(text)
}

function field<T>(parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    const { message, facts, hint } = AoError.from(cause)
    throw new AoError('INVALID_DATA_ITEM', message, facts, { cause, hint })
  }
}

const wrongTag = (name: string, wanted: string, tags: readonly Tag[]): AoError =>
  invalid(`the tag ${name} is not ${wanted}`, { tag: name, value: tagValue(tags, name)?.slice(0, 64) })

const invalid = (message: string, facts: Record<string, string | undefined>): AoError =>
  new AoError('INVALID_DATA_ITEM', message, facts, { hint: 'See the table of required tags in the README.' })

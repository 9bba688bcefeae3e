import { AoError } from '../../lib/errors.ts'
import type { HandleOptions, LiveProcess, ProcessSetup, Step, VmLimits, VmPool } from '../../ports/vm.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { ProcessId } from '../../protocol/ids.ts'
import { parseComputeLimit, parseMemoryLimit } from '../../protocol/message.ts'
import type { NetworkParams } from '../../protocol/params.ts'
import { tagValue } from '../../protocol/tags.ts'
import type { SeenItem } from '../assigned-item.ts'
import type { ProcessRoute } from '../routing/route.ts'
import { environmentOf, toVmMessage } from './messages.ts'
import type { Module } from './modules.ts'

/**
 * What a VM needs to open this Process. Every part comes from signed items and network parameters.
 *
 * @throws AoError `UNSUPPORTED_MODULE` if no VM of the pool takes the Module's format.
 */
export function setupOf(
  process: ProcessId,
  route: ProcessRoute,
  module: Module,
  { pool, params }: { readonly pool: VmPool; readonly params: NetworkParams },
): ProcessSetup {
  const { format } = module.spec
  if (!pool.formats.includes(format)) {
    throw new AoError(
      'UNSUPPORTED_MODULE',
      'this node evaluates no Modules of that format',
      { module: route.spec.module, format, formats: pool.formats.join(' ') },
      { hint: 'Ask a Compute Unit whose unit record names the format.' },
    )
  }
  refuseWeaveDrive([route.item, module.item])
  return {
    process,
    module: route.spec.module,
    format,
    environment: environmentOf(route.item, module.item),
    limits: limitsOf(route.item, module, params),
    loadModule: async () => module.item.data,
  }
}

/** What it would read would not be part of what all nodes agree on. */
function refuseWeaveDrive(items: readonly DataItem[]): void {
  for (const { id, tags } of items) {
    const tag = tags.find(
      ({ name, value }) => name === 'Availability-Type' || (name === 'Extension' && /weavedrive/i.test(value)),
    )
    if (tag === undefined) continue
    throw new AoError(
      'UNSUPPORTED_MODULE',
      'WeaveDrive is not offered here, and the Process or its Module asks for it',
      { id, tag: tag.name, value: tag.value.slice(0, 64) },
      { hint: `Spawn without the tag ${tag.name}, and send the Process the data that it needs.` },
    )
  }
}

/** Evaluates one checked message. What the Process itself does wrong is in the Step, not thrown. */
export const evaluate = (
  live: LiveProcess,
  scheduled: { readonly assignment: Assignment; readonly message: SeenItem },
  options: HandleOptions,
): Promise<Step> => live.handle(toVmMessage(scheduled), options)

/** The least that Process, Module and network allow. */
function limitsOf(process: DataItem, { spec }: Module, params: NetworkParams): VmLimits {
  const memory = [parseMemoryLimit(tagValue(process.tags, 'Memory-Limit')), spec.memoryLimit]
  const gas = [parseComputeLimit(tagValue(process.tags, 'Compute-Limit')), spec.computeLimit]
  return { memoryBytes: least(params.maxMemoryBytes, memory), gas: least(BigInt(params.maxGas), gas) }
}

const least = <T extends number | bigint>(limit: T, asked: readonly (T | undefined)[]): T =>
  asked.reduce<T>((lowest, value) => (value !== undefined && value < lowest ? value : lowest), limit)

import { epochsOf, judgePlace } from '../economy/host-epochs.ts'
import type { HostRow } from '../economy/rows.ts'
import type { AbortOptions } from '../lib/abort.ts'
import type { NodeConnection } from '../network/grpc/connect.ts'
import type { Assignment } from '../protocol/assignment.ts'
import type { DataItem } from '../protocol/data-item.ts'
import type { Address, Id } from '../protocol/ids.ts'
import { parseProcessSpec } from '../protocol/message.ts'
import { tagsOf, tagValues } from '../protocol/tags.ts'

/**
 * Could the signer of an Assignment order there? By the Process's own item in its first epoch; for later ones AO-Sec
 * Origin's host table is asked through the node, whose word it is.
 *
 * @param item the Process item.
 */
export async function isHosts(
  node: NodeConnection,
  assignment: Assignment,
  item: DataItem,
  options: AbortOptions,
): Promise<boolean> {
  const { process, scheduler, epoch } = assignment
  const { scheduler: first } = parseProcessSpec(item.tags)
  if (epoch === 0) return scheduler === first
  const origin = originOf(node)
  if (process === origin) return tagValues(item.tags, 'Fallback-Scheduler')[epoch - 1] === scheduler
  if (origin === undefined) return false
  const question = { owner: first, tags: tagsOf(['Action', 'Host'], ['Process', process]), data: '' }
  const { outbox } = await node.units.compute.dryRun(origin as typeof process, question, options)
  const row = JSON.parse(outbox.messages[0]?.data ?? '{}') as HostRow | Record<string, never>
  return 'past' in row && judgePlace(epochsOf(row as HostRow, first), assignment) === 'stands'
}

/** AO-Sec Origin of the node's network. */
function originOf(node: NodeConnection): Id | undefined {
  const economy = node.info.status['economy'] as { readonly origin?: Address } | undefined
  return economy?.origin as Id | undefined
}

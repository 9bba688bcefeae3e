import type { AbortOptions } from '../../lib/abort.ts'
import type { Recalled } from '../../ports/session.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { verifyDataItem } from '../../protocol/data-item.ts'
import type { Address } from '../../protocol/ids.ts'
import { parseSession, parseUnitRecord, type UnitRecord } from '../../protocol/unit-record.ts'
import type { ChannelPool, Peer } from './channel-pool.ts'
import { unaryCall } from './client-calls.ts'
import { assignmentFromWire } from './convert.ts'
import { NodeService } from './generated/ao/v1/node.ts'

/** Assignments in one answer: 64 bytes of signature and some 500 of tags each. */
export const maxRecalled = 1_000
const deadlineMs = 5_000

/**
 * Asks a node what it remembers of a unit, and shows it this one's newest record of it (or no bytes). What that unit did not sign is left out: a node can keep silent, not lie.
 *
 * @throws AoError as the other side threw it, or `PEER_UNREACHABLE` | `DEADLINE` | `ABORTED`
 */
export async function recallUnit(
  pool: ChannelPool,
  peer: Peer,
  { address, record: own }: { readonly address: Address; readonly record: Uint8Array },
  { signal }: AbortOptions = {},
): Promise<Recalled> {
  const answer = await unaryCall(pool, peer, NodeService.recallUnit, { address, record: own }, { signal, deadlineMs })
  const record = answer.record === undefined ? undefined : await ownRecord(answer.record, address)
  const assignments: Assignment[] = []
  for (const bytes of answer.assignments.slice(0, maxRecalled)) {
    const assignment = await assignmentFromWire(bytes).catch(() => undefined)
    if (assignment?.scheduler === address) assignments.push(assignment)
  }
  return { record, assignments, self: parseSession(answer.session) }
}

async function ownRecord(bytes: Uint8Array, address: Address): Promise<UnitRecord | undefined> {
  try {
    const record = parseUnitRecord(await verifyDataItem(bytes))
    return record.address === address ? record : undefined
  } catch {
    return undefined
  }
}

import type { AbortOptions } from '../lib/abort.ts'
import { AoError } from '../lib/errors.ts'
import type { ArweaveClient } from '../ports/settlement.ts'
import { type Assignment, checkFollows, parseAssignment } from '../protocol/assignment.ts'
import { unpackBundle } from '../protocol/bundle.ts'
import { verifyDataItem } from '../protocol/data-item.ts'
import type { Address, Id, ProcessId } from '../protocol/ids.ts'
import { hasTag } from '../protocol/tags.ts'

/** A Process's schedule as it stands in bundles on Arweave, checked without asking any unit. */
export interface SettledSchedule {
  readonly assignments: readonly Assignment[]
  readonly bundles: number
  /** Items in those bundles, all with a good signature. */
  readonly items: number
}

/**
 * Reads bundles back, verifies every signature in them, and follows the hash chain of one Process from nonce 0.
 *
 * @throws AoError `UNKNOWN_MESSAGE` if a bundle is not there; `INVALID_ASSIGNMENT` | `NONCE_GAP` if the chain breaks.
 */
export async function readSettledSchedule(
  what: { readonly process: ProcessId; readonly scheduler: Address; readonly bundles: readonly Id[] },
  arweave: ArweaveClient,
  options: AbortOptions = {},
): Promise<SettledSchedule> {
  const found = new Map<number, Assignment>()
  let items = 0
  for (const id of what.bundles) {
    const bytes = await arweave.data(id, options)
    if (bytes === undefined) throw new AoError('UNKNOWN_MESSAGE', 'the bundle is not on Arweave', { id })
    for (const entry of unpackBundle(bytes)) {
      const item = await verifyDataItem(entry.bytes)
      items++
      if (item.owner !== what.scheduler || !hasTag(item.tags, 'Type', 'Assignment')) continue
      const assignment = parseAssignment(item)
      if (assignment.process === what.process) found.set(assignment.nonce, assignment)
    }
  }
  const assignments = [...found.values()].sort((a, b) => a.nonce - b.nonce)
  for (const [index, assignment] of assignments.entries())
    checkFollows(what.process, assignments[index - 1], assignment)
  return { assignments, bundles: what.bundles.length, items }
}

import type { Assignment } from '../../protocol/assignment.ts'
import { type Evidence, findFault } from '../../protocol/evidence.ts'

/**
 * What a new Assignment proves against its SU: alone, or with what the SU said about this nonce or its neighbours.
 *
 * @param known what was seen of the same SU, Process and epoch, by nonce.
 */
export function faultOf(next: Assignment, known: (nonce: number) => Assignment | undefined): Evidence | undefined {
  const alone = findFault(next)
  if (alone !== undefined) return alone
  for (const nonce of [next.nonce, next.nonce - 1, next.nonce + 1]) {
    const other = known(nonce)
    const fault = other === undefined || other.id === next.id ? undefined : findFault(other, next)
    if (fault !== undefined) return fault
  }
  return undefined
}

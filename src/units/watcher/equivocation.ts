import type { Assignment } from '../../protocol/assignment.ts'
import type { Attestation } from '../../protocol/attestation.ts'
import type { Address } from '../../protocol/ids.ts'

/** Original signed items that cannot all be honest. Anyone can check it with no state. */
export interface Evidence {
  /** F1: two Assignments of one nonce. F5: two Attestations of one Assignment. */
  readonly kind: 'F1' | 'F5'
  readonly unit: Address
  readonly proof: readonly Uint8Array[]
}

/** Evidence from two different statements of one signer about one nonce; undefined if both may be honest. */
export function equivocation(first: Assignment | Attestation, second: Assignment | Attestation): Evidence | undefined {
  const proof = [first.raw, second.raw]
  if ('scheduler' in first) return { kind: 'F1', unit: first.scheduler, proof }
  // Of different Assignments, because the SU equivocated: then the CU has said nothing that contradicts itself.
  if (!('compute' in second) || first.assignment !== second.assignment) return undefined
  return { kind: 'F5', unit: first.compute, proof }
}

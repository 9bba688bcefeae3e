import type { Attestation } from '../../protocol/attestation.ts'

/** Do two Attestations of one Assignment say that it gave different things? */
export const differs = (a: Attestation, b: Attestation): boolean =>
  a.assignment === b.assignment &&
  (a.stateRoot !== b.stateRoot || a.outboxRoot !== b.outboxRoot || a.outputHash !== b.outputHash)

import type { StoredResult } from '../ports/result-store.ts'
import { parseAssignment } from '../protocol/assignment.ts'
import { parseStoredItem } from '../protocol/data-item.ts'
import { decodeResult, encodeResult } from '../protocol/result.ts'
import { joinParts, splitParts } from './parts.ts'

/** One text for equal rows: assignment, attestation and Result. */
export const encodeRow = ({ assignment, attestation, result }: StoredResult): Uint8Array =>
  joinParts(assignment.raw, attestation, encodeResult(result))

/** Reads what `encodeRow` wrote. */
export function decodeRow(bytes: Uint8Array): StoredResult {
  const [assignment, attestation, result] = splitParts(bytes, 3)
  return {
    assignment: parseAssignment(parseStoredItem(assignment)),
    attestation,
    result: decodeResult(result),
  }
}

import { equalBytes } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import type { StoredResult } from '../ports/result-store.ts'
import { parseAssignment } from '../protocol/assignment.ts'
import { parseStoredItem } from '../protocol/data-item.ts'
import { decodeResult, encodeResult } from '../protocol/result.ts'
import { decoding } from './decoding.ts'
import { joinParts, splitParts } from './parts.ts'

/** The same bytes for equal rows: assignment, attestation and Result. */
export const encodeRow = ({ assignment, attestation, result }: StoredResult): Uint8Array =>
  joinParts(assignment.raw, attestation, encodeResult(result))

/** Reads what `encodeRow` wrote. */
export const decodeRow = (bytes: Uint8Array): StoredResult =>
  decoding('result', () => {
    const [assignment, attestation, result] = splitParts(bytes, 3)
    return { assignment: parseAssignment(parseStoredItem(assignment)), attestation, result: decodeResult(result) }
  })

/** @throws AoError `EQUIVOCATION` unless the row is the one that is stored. */
export function assertSameRow(stored: Uint8Array, row: StoredResult): void {
  if (equalBytes(stored, encodeRow(row))) return
  const { process, nonce } = row.result
  throw new AoError('EQUIVOCATION', 'another result is stored for this nonce', { process, nonce })
}

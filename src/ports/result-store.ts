import type { Assignment } from '../protocol/assignment.ts'
import type { MessageId, Nonce, ProcessId } from '../protocol/ids.ts'
import type { Result } from '../protocol/result.ts'

/** One evaluated message: its Assignment, its Result and the CU's own signed Attestation. */
export interface StoredResult {
  readonly assignment: Assignment
  readonly result: Result
  /** Signed bytes. */
  readonly attestation: Uint8Array
}

/** What a CU has evaluated and said, per (Process, Nonce). */
export interface ResultStore {
  get(process: ProcessId, nonce: Nonce): Promise<StoredResult | undefined>
  nonceOf(process: ProcessId, message: MessageId): Promise<Nonce | undefined>
  /** Results without `error` by nonce: `after` exclusive, `to` inclusive. */
  succeeded(
    process: ProcessId,
    range: { readonly after?: Nonce | undefined; readonly to?: Nonce | undefined; readonly descending: boolean },
  ): AsyncIterable<StoredResult>
  /** The highest nonce stored. */
  newest(process: ProcessId): Promise<StoredResult | undefined>
  /**
   * Resolves when on disk. A stored row is never replaced by another: a CU says one thing about a Nonce.
   *
   * @throws AoError `EQUIVOCATION` if the stored row says something else; `LOG_WRITE_FAILED` if the disk refuses.
   */
  put(row: StoredResult): Promise<void>
}

import type { AssignmentPlan } from '../protocol/assignment.ts'
import type { DataItem } from '../protocol/data-item.ts'
import type { AssignmentId, Nonce, ProcessId } from '../protocol/ids.ts'
import type { Origin } from '../protocol/origin.ts'

/** A place in a schedule that is given to a message. With it the Assignment is fixed: signing is deterministic. */
export interface SignPromise {
  readonly plan: AssignmentPlan
  /** Absent where an item that is on Arweave already is assigned. */
  readonly message: DataItem | undefined
  readonly origin?: Origin | undefined
}

/** How far a key has signed elsewhere: a log that has not come so far must not go on. */
export interface SignFloor {
  readonly process: ProcessId
  readonly epoch: number
  readonly nonce: Nonce
  /** The Assignment at that nonce, if known. */
  readonly assignment?: AssignmentId | undefined
}

/**
 * What an SU is going to sign, written down before a signature of it exists.
 *
 * Invariant: one (Process, Epoch, Nonce) is promised to one message with one set of fields, for ever. A promise whose
 * write failed may be on disk all the same, so it stands.
 */
export interface SignGuard {
  /**
   * All or nothing; resolves when on disk. The same promise may be given again.
   *
   * @throws AoError `LOG_WRITE_FAILED` if the disk refuses; `EQUIVOCATION` if a place is promised otherwise.
   */
  promise(batch: readonly SignPromise[]): Promise<void>
  /** These stand in the log now. They are forgotten with the next write, not before: the log's rows are then on disk. */
  release(batch: readonly SignPromise[]): void
  /** Promises that were not released, or whose release is not on disk; by Process, ascending. */
  open(): Promise<readonly SignPromise[]>
  floor(process: ProcessId): Promise<SignFloor | undefined>
  floors(): Promise<readonly SignFloor[]>
  /** Never lowers one. Resolves when on disk. */
  raise(floors: readonly SignFloor[]): Promise<void>
}

import type { Assignment, ScheduledMessage } from '../protocol/assignment.ts'
import type { CronPlace } from '../protocol/cron.ts'
import type { DataItem } from '../protocol/data-item.ts'
import type { MessageId, Nonce, ProcessId } from '../protocol/ids.ts'
import type { Origin } from '../protocol/origin.ts'
import type { Result } from '../protocol/result.ts'

/** One evaluated message: its Assignment, its Result and the CU's own signed Attestation. */
export interface StoredResult {
  readonly assignment: Assignment
  readonly result: Result
  /** Signed bytes. */
  readonly attestation: Uint8Array
  /** The item as it was ordered, to be shown by `scheduled`; `get` does not give it back. */
  readonly message?: DataItem | undefined
}

export interface RowNames {
  /** Of the message, if it was pushed by one whom the Process believes. */
  readonly origin?: Origin | undefined
  /** Whether its message or origin stood at an earlier nonce. */
  readonly isRepeat: boolean
}

export interface NamedRow {
  readonly row: StoredResult
  readonly names?: RowNames | undefined
}

/** Of an item that is kept beside its Result. */
export interface KeptPlace {
  readonly process: ProcessId
  readonly nonce: Nonce
}
export interface KeptItemsTotals {
  readonly items: number
  readonly bytes: number
}

/** A message, and what it pushes, at its nonce. */
export interface PlacedMessage {
  readonly nonce: Nonce
  readonly message: MessageId
  readonly origin?: Origin | undefined
}

/** A bare nonce is the message alone: cron messages after it come after it. */
export interface ResultRange {
  readonly after?: Nonce | ResultAt | undefined
  readonly to?: Nonce | ResultAt | undefined
  readonly descending: boolean
  /** Leave out what is no cron message. */
  readonly cronsOnly?: boolean | undefined
}

/** A message, or a cron message after it. */
export interface ResultAt {
  readonly nonce: Nonce
  readonly cron?: CronPlace | undefined
}

/** A row on its way to the disk. Nobody outside of this program may see anything of it before `stored` resolves. */
export interface WritingResult {
  readonly row: StoredResult
  /** Rejects as `put` does. */
  readonly stored: Promise<void>
}

export interface PutOptions {
  /** Called once all rows are on their way: whatever is written to the same store from then on is on disk only with them. */
  readonly onWriting?: (() => void) | undefined
}

/** What a CU has evaluated and said, per (Process, Nonce) and cron message after it. */
export interface ResultStore {
  get(process: ProcessId, nonce: Nonce, cron?: CronPlace): Promise<StoredResult | undefined>
  /** The row of a message, as long as it is on its way to the disk. */
  writing(process: ProcessId, nonce: Nonce): WritingResult | undefined
  /** Where the message, or a message of that origin, stood first. */
  nonceOf(process: ProcessId, message: MessageId, origin?: Origin): Promise<Nonce | undefined>
  /**
   * Told where messages stand of which there are no Results: those before a checkpoint of another CU. Ascending, on from
   * `learned`; all of them or none, on disk when it resolves. A name keeps its first place.
   */
  learn(process: ProcessId, messages: readonly PlacedMessage[]): Promise<void>
  /** The last nonce that `learn` was told of. */
  learned(process: ProcessId): Promise<Nonce | undefined>
  /** Results without `error` in their order: `after` exclusive, `to` inclusive. */
  succeeded(process: ProcessId, range: ResultRange): AsyncIterable<StoredResult>
  /** The last one stored, by place. */
  newest(process: ProcessId): Promise<StoredResult | undefined>
  /**
   * Resolves when on disk. A stored row is never replaced by another: a CU says one thing about a Nonce. Its message,
   * and the origin that this has, are from now on known to have stood there, unless they stood elsewhere before.
   *
   * @throws AoError `EQUIVOCATION` if the stored row says something else; `LOG_WRITE_FAILED` if the disk refuses.
   */
  put(row: StoredResult, names?: RowNames): Promise<void>
  /** As `put` for rows of one Process, all of them or none. */
  putAll(rows: readonly NamedRow[], options?: PutOptions): Promise<void>
  /** The schedule as it was evaluated: ascending, without crons, both ends inclusive. */
  scheduled(process: ProcessId, range: { from: Nonce; to?: Nonce | undefined }): AsyncIterable<ScheduledMessage>
  /** Where items are kept, from that place on: by Process, in any order of these, and by nonce. */
  keptItems(from: KeptPlace | undefined, limit: number): Promise<readonly KeptPlace[]>
  /** `scheduled` shows these rows without their items from now on: whoever wants one has it from Arweave. */
  dropItems(process: ProcessId, nonces: readonly Nonce[]): Promise<void>
  /** Of the items that are kept; about right after a crash. */
  keptItemsTotals(): Promise<KeptItemsTotals>
  /**
   * Forgets all rows after a nonce, for good: what the schedule had there counts no more. All or nothing; resolves when
   * on disk.
   */
  forgetAfter(process: ProcessId, nonce: Nonce): Promise<void>
}

import type { Assignment, ScheduledMessage } from '../protocol/assignment.ts'
import type { DataItem } from '../protocol/data-item.ts'
import type { MessageId, Nonce, ProcessId } from '../protocol/ids.ts'
import type { Origin } from '../protocol/origin.ts'

/** A row, and under which origin it is found again: the log believes the caller that the signer may speak for it. */
export interface LogEntry extends ScheduledMessage {
  readonly origin?: Origin | undefined
  /** On Arweave already: it gets no place in `readAll`. */
  readonly settled?: boolean | undefined
}
/** A message that may be in the log already, by its id or by its origin. */
export interface Sought {
  readonly process: ProcessId
  readonly message: MessageId
  readonly origin?: Origin | undefined
}
export interface AppendOptions {
  /**
   * A SignGuard has these rows on disk: then this need only be seen by every reader, and lie in the order of the
   * store's writes before the promises' release.
   */
  readonly guarded?: boolean
  /** The only one who appends has asked `findMany` for these rows since its last append, and found none. */
  readonly lookedUp?: boolean
}

/** The SU's log: assignments and their messages, written together. The only memory of the last Nonce. */
export interface AssignmentLog {
  tail(process: ProcessId): Promise<Assignment | undefined>
  at(process: ProcessId, nonce: Nonce): Promise<Assignment | undefined>
  /** By the id of the message or of the Assignment itself. */
  find(process: ProcessId, message: MessageId): Promise<Assignment | undefined>
  /** As `find` for many at once, by id or by origin, in the order asked. */
  findMany(sought: readonly Sought[]): Promise<readonly (Assignment | undefined)[]>
  /** The Process item, which stands at nonce 0. */
  process(process: ProcessId): Promise<DataItem | undefined>
  /**
   * All or nothing; resolves when on disk.
   *
   * @throws AoError `LOG_WRITE_FAILED` if the disk refuses; `EQUIVOCATION` if a (Process, Nonce) is taken already,
   * or a message or an origin has one already.
   */
  append(batch: readonly LogEntry[], options?: AppendOptions): Promise<void>
  /** Ascending, both ends inclusive; without `to` up to the tail. */
  read(process: ProcessId, range: { from: Nonce; to?: Nonce | undefined }): AsyncIterable<ScheduledMessage>
  /** In the order of appending over all Processes. `position` starts at 1 and grows; pass the last one seen to go on. */
  readAll(after: number, limit: number): Promise<readonly { position: number; scheduled: ScheduledMessage }[]>
  /** The newest Assignment of each Process. */
  tails(): AsyncIterable<Assignment>
  /** How many entries have a place in `readAll`. */
  size(): Promise<number>
}

import type { Assignment, ScheduledMessage } from '../protocol/assignment.ts'
import type { DataItem } from '../protocol/data-item.ts'
import type { MessageId, Nonce, ProcessId } from '../protocol/ids.ts'

/** The SU's log: assignments and their messages, written together. The only memory of the last Nonce. */
export interface AssignmentLog {
  tail(process: ProcessId): Promise<Assignment | undefined>
  at(process: ProcessId, nonce: Nonce): Promise<Assignment | undefined>
  /** By the id of the message or of the Assignment itself. */
  find(process: ProcessId, message: MessageId): Promise<Assignment | undefined>
  /** The Process item, which stands at nonce 0. */
  process(process: ProcessId): Promise<DataItem | undefined>
  /**
   * All or nothing; resolves when on disk.
   *
   * @throws AoError `LOG_WRITE_FAILED` if the disk refuses; `EQUIVOCATION` if a (Process, Nonce) is taken already.
   */
  append(batch: readonly ScheduledMessage[]): Promise<void>
  /** Ascending, both ends inclusive; without `to` up to the tail. */
  read(process: ProcessId, range: { from: Nonce; to?: Nonce | undefined }): AsyncIterable<ScheduledMessage>
  /** In the order of appending over all Processes. `position` starts at 1 and grows; pass the last one seen to go on. */
  readAll(after: number, limit: number): Promise<readonly { position: number; scheduled: ScheduledMessage }[]>
  /** How many entries there are in all. */
  size(): Promise<number>
}

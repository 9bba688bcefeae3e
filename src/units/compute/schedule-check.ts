import { AoError } from '../../lib/errors.ts'
import { type Assignment, checkFollows, parseAssignment, type ScheduledMessage } from '../../protocol/assignment.ts'
import { checkedDataItem } from '../../protocol/checked-items.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { Address, Id, ProcessId } from '../../protocol/ids.ts'

/** A row of a schedule after every check that needs no state but the row before. */
export interface CheckedRow {
  readonly assignment: Assignment
  readonly message: DataItem
}

/**
 * Reads a row as if the SU were dishonest: both signatures, who ordered it, for whom, and that it follows.
 *
 * @throws AoError `INVALID_ASSIGNMENT` naming what is wrong; `INVALID_DATA_ITEM` for a bad signature; `NONCE_GAP`.
 */
export async function checkScheduled(
  process: ProcessId,
  row: ScheduledMessage,
  { scheduler, previous }: { readonly scheduler: Address; readonly previous: Assignment | undefined },
): Promise<CheckedRow> {
  const assignment = parseAssignment(await checkedDataItem(row.assignment.raw))
  const broken = (what: string): AoError =>
    new AoError(
      'INVALID_ASSIGNMENT',
      `the schedule is broken: ${what}`,
      { process, nonce: assignment.nonce, id: assignment.id, scheduler },
      { hint: 'The scheduler of this Process is not honest or lost its log; keep the item as evidence.' },
    )
  if (assignment.scheduler !== scheduler) throw broken('the Assignment is signed by another than the scheduler')
  checkFollows(process, previous, assignment)
  if (row.message === undefined) throw broken('the message is missing')
  const message = await checkedDataItem(row.message.raw, { maxBytes: row.message.raw.length })
  if (message.id !== assignment.message) throw broken('the message is not the one assigned')
  const isProcessItem = assignment.nonce === 0 && (message.id as Id) === (process as Id)
  if (!isProcessItem && message.target !== process) throw broken('the message is for another Process')
  return { assignment, message }
}

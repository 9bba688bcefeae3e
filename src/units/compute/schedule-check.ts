import type { PlaceVerdict } from '../../economy/host-epochs.ts'
import { AoError } from '../../lib/errors.ts'
import { type Assignment, checkFollows, parseAssignment, type ScheduledMessage } from '../../protocol/assignment.ts'
import { checkedDataItem } from '../../protocol/checked-items.ts'
import type { Address, Id, ProcessId } from '../../protocol/ids.ts'
import type { SeenItem } from '../assigned-item.ts'

/** A row of a schedule after every check that needs no state but the row before. */
export interface CheckedRow {
  readonly assignment: Assignment
  readonly message: SeenItem
}

/** Hears of what an SU signed. `after`: the Assignment that this one was to follow, and does not. */
export type OnRead = (assignment: Assignment, after?: Assignment) => void

/**
 * Reads a row as if the SU were dishonest: both signatures, who ordered it, for whom, and that it follows. A row without
 * a message assigns an item of Arweave, which `load` gives.
 *
 * @throws AoError `INVALID_ASSIGNMENT` naming what is wrong; `INVALID_DATA_ITEM` for a bad signature; `NONCE_GAP`.
 */
export async function checkScheduled(
  process: ProcessId,
  row: ScheduledMessage,
  {
    scheduler,
    judge,
    previous,
    load,
    onRead,
  }: {
    /** The `Scheduler` tag of the Process. */
    readonly scheduler: Address
    /** What the host table says of an Assignment; without one the tag decides. */
    readonly judge?: ((assignment: Assignment) => PlaceVerdict) | undefined
    readonly previous: Assignment | undefined
    readonly load: (assignment: Assignment) => Promise<SeenItem>
    /** Told of each Assignment by whom it should be; again, with the one before, if it does not follow that. */
    readonly onRead?: OnRead | undefined
  },
): Promise<CheckedRow> {
  const assignment = parseAssignment(await checkedDataItem(row.assignment.raw))
  const broken = (what: string): AoError =>
    new AoError(
      'INVALID_ASSIGNMENT',
      `the schedule is broken: ${what}`,
      { process, nonce: assignment.nonce, id: assignment.id, scheduler },
      { hint: 'The scheduler of this Process is not honest or lost its log; keep the item as evidence.' },
    )
  const verdict = judge?.(assignment) ?? (assignment.scheduler === scheduler ? 'stands' : 'void')
  if (verdict === 'unknown') throw notHeardOf(assignment)
  if (verdict === 'void') throw broken('the Assignment is signed by another than the scheduler of that place')
  onRead?.(assignment)
  try {
    checkFollows(process, previous, assignment)
  } catch (error) {
    if (previous !== undefined) onRead?.(assignment, previous)
    throw error
  }
  if (row.message === undefined) {
    if (assignment.nonce === 0) throw broken('the Process item is missing')
    const found = await load(assignment)
    if (found.id !== assignment.message) throw broken('the item is not the one assigned')
    return { assignment, message: found }
  }
  const message = await checkedDataItem(row.message.raw, { maxBytes: row.message.raw.length })
  if (message.id !== assignment.message) throw broken('the message is not the one assigned')
  const isProcessItem = assignment.nonce === 0 && (message.id as Id) === (process as Id)
  if (!isProcessItem && message.target !== process) throw broken('the message is for another Process')
  return { assignment, message }
}

const notHeardOf = ({ process, nonce, epoch }: Assignment): AoError =>
  new AoError(
    'UNKNOWN_MESSAGE',
    'the schedule goes on under a scheduler that this node has not heard of yet',
    { process, nonce, epoch },
    { hint: 'Try again in a few seconds: AO-Sec Origin is read from Arweave.' },
  )

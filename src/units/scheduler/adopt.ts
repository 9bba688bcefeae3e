import { AoError } from '../../lib/errors.ts'
import type { AssignmentLog } from '../../ports/assignment-log.ts'
import type { ScheduledMessage } from '../../protocol/assignment.ts'
import type { ProcessId } from '../../protocol/ids.ts'
import { parseProcessSpec } from '../../protocol/message.ts'
import { originOf } from '../../protocol/origin.ts'

/** A row of a log that another scheduler began. */
export interface AdoptedRow extends ScheduledMessage {
  /** It is on Arweave for good: nobody need bring it there again. */
  readonly settled: boolean
}

/** Rows of one disk write. */
const atOnce = 256

/**
 * Writes the rows of another scheduler's log into this one, from nonce 0 on. Rows that are here already are left alone, so
 * that a crash on the way is made up for by doing it again.
 *
 * @throws AoError `EQUIVOCATION` if this log has another row there, `NONCE_GAP` if one is left out, `LOG_WRITE_FAILED`.
 */
export async function adoptLog(log: AssignmentLog, process: ProcessId, rows: readonly AdoptedRow[]): Promise<void> {
  const [first] = rows
  if (first?.message === undefined) throw new AoError('NONCE_GAP', 'the log does not begin at nonce 0', { process })
  const { authorities } = parseProcessSpec(first.message.tags)
  const tail = (await log.tail(process))?.nonce ?? -1
  for (const { assignment } of rows.slice(0, tail + 1)) {
    const own = await log.at(process, assignment.nonce)
    if (own?.id !== assignment.id)
      throw new AoError('EQUIVOCATION', 'this log has another Assignment there', { process, nonce: assignment.nonce })
  }
  const entries = rows.slice(tail + 1).map(row => ({
    ...row,
    origin: row.message === undefined || row.assignment.nonce === 0 ? undefined : originOf(row.message, authorities),
  }))
  for (let i = 0; i < entries.length; i += atOnce) await log.append(entries.slice(i, i + atOnce))
}

import { maxItemBytes } from '../../modules/ao-sec-origin/items.ts'
import type { AssignmentLog } from '../../ports/assignment-log.ts'
import { parseStoredItem } from '../../protocol/data-item.ts'
import type { Nonce } from '../../protocol/ids.ts'
import type { SchedulerUnit } from '../scheduler/scheduler.ts'
import type { Answers } from './respondent.ts'
import { type ReadItem, shownMessage } from './shown-message.ts'

export interface SchedulerAnswersDeps {
  readonly log: Pick<AssignmentLog, 'find' | 'read'>
  readonly scheduler: Pick<SchedulerUnit, 'schedule'>
  readonly item: ReadItem
}

/** What an SU shows: what it has ordered (F2); what it is said to leave out, which it orders and shows (F3). */
export function schedulerAnswers({ log, scheduler, item }: SchedulerAnswersDeps): Answers {
  return {
    F2: async ({ row: { process, nonce } }) => {
      const at = nonce as Nonce
      for await (const { assignment, message } of log.read(process, { from: at, to: at })) {
        // What is on Arweave already was shown there: its SU has nothing more to show. One byte more than AO-Sec Origin
        // reads says that this is the beginning of a larger one.
        const shown = message === undefined ? [] : [{ id: message.id, raw: message.raw.subarray(0, maxItemBytes + 1) }]
        return [parseStoredItem(assignment.raw), ...shown]
      }
      return undefined
    },
    F3: async ({ id, row }, options) => {
      const known = await log.find(row.process, row.message)
      if (known !== undefined) return [parseStoredItem(known.raw)]
      // Where the SU does not have the message, the challenge itself brings it.
      const message = await shownMessage(item, { message: row.message, shownIn: id }, options)
      if (message === undefined) return undefined
      return [parseStoredItem((await scheduler.schedule(message, options)).raw)]
    },
  }
}

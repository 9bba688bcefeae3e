import type { AbortOptions } from '../../lib/abort.ts'
import { fromBase64Url, toUtf8 } from '../../lib/bytes.ts'
import { maxItemBytes } from '../../modules/ao-sec-origin/items.ts'
import type { AssignmentLog } from '../../ports/assignment-log.ts'
import { unpackBundle } from '../../protocol/bundle.ts'
import { type DataItem, parseStoredItem, verifyDataItem } from '../../protocol/data-item.ts'
import type { Id, MessageId, Nonce } from '../../protocol/ids.ts'
import type { SchedulerUnit } from '../scheduler/scheduler.ts'
import type { Answers } from './respondent.ts'

export interface SchedulerAnswersDeps {
  readonly log: Pick<AssignmentLog, 'find' | 'read'>
  readonly scheduler: Pick<SchedulerUnit, 'schedule'>
  /** An item on Arweave: a challenge brings the message that it is about. */
  readonly item: (id: Id, options: AbortOptions) => Promise<DataItem | undefined>
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
      const message = await brought(id, row.message, options)
      if (message === undefined) return undefined
      return [parseStoredItem((await scheduler.schedule(message, options)).raw)]
    },
  }

  /** Where the SU does not have the message, the challenge itself brings it. */
  async function brought(challenge: string, message: MessageId, options: AbortOptions): Promise<DataItem | undefined> {
    const asked = await item(challenge as Id, options)
    if (asked === undefined) return undefined
    const [first] = unpackBundle(fromBase64Url(toUtf8(asked.data)), { maxItems: 2 })
    const found = first && (await verifyDataItem(first.bytes))
    return found?.id === message ? found : undefined
  }
}

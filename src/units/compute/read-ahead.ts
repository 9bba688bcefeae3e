import { raceWithin } from '../../lib/abort.ts'
import type { ScheduledMessage } from '../../protocol/assignment.ts'
import { checkedDataItem } from '../../protocol/checked-items.ts'

/**
 * Passes rows on; a gap longer than `stallMs` ends it with `DEADLINE`, so a silent SU holds nobody for ever. A few are
 * read ahead and their signatures checked meanwhile, many at a time in the threads that do so: whoever takes a row finds
 * them checked, or finds out himself that they are not good.
 */
export async function* readAhead(
  rows: AsyncIterable<ScheduledMessage>,
  {
    rowsAhead,
    stallMs,
    signal,
  }: { readonly rowsAhead: number; readonly stallMs: number; readonly signal: AbortSignal },
): AsyncIterable<ScheduledMessage> {
  const iterator = rows[Symbol.asyncIterator]()
  const asked: Promise<IteratorResult<ScheduledMessage>>[] = []
  for (;;) {
    while (asked.length < rowsAhead) asked.push(checkAhead(iterator.next()))
    const next = await raceWithin(asked.shift() as (typeof asked)[number], stallMs, { signal })
    if (next.done) return
    yield next.value
  }
}

function checkAhead(row: Promise<IteratorResult<ScheduledMessage>>): typeof row {
  row
    .then(async ({ done, value }) => {
      if (done) return
      const { assignment, message } = value as ScheduledMessage
      const items = message === undefined ? [assignment] : [assignment, message]
      await Promise.all(items.map(({ raw }) => checkedDataItem(raw, { maxBytes: raw.length })))
    })
    .catch(() => undefined) // whoever takes the row hears of it
  return row
}

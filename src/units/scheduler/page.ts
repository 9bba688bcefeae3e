import type { AssignmentLog } from '../../ports/assignment-log.ts'
import type { ScheduledMessage } from '../../protocol/assignment.ts'
import type { Nonce, ProcessId } from '../../protocol/ids.ts'

/** Times in milliseconds since the Unix epoch. */
export interface PageQuery {
  /** Exclusive: the cursor of the page before. */
  readonly fromTimestamp?: number | undefined
  /** Inclusive. */
  readonly toTimestamp?: number | undefined
  readonly limit: number
}
export interface SchedulePage {
  readonly messages: readonly ScheduledMessage[]
  readonly hasNext: boolean
}

/**
 * One page of a schedule by time. Messages of one millisecond stay together, even over the limit: a reader that goes
 * on after the last timestamp of a page misses none.
 */
export async function schedulePage(log: AssignmentLog, process: ProcessId, query: PageQuery): Promise<SchedulePage> {
  const { fromTimestamp, toTimestamp = Number.POSITIVE_INFINITY, limit } = query
  const from = fromTimestamp === undefined ? (0 as Nonce) : await firstAfter(log, process, fromTimestamp)
  const messages: ScheduledMessage[] = []
  for await (const scheduled of log.read(process, { from })) {
    const { timestamp } = scheduled.assignment
    if (timestamp > toTimestamp) break
    if (messages.length >= limit && timestamp !== messages.at(-1)?.assignment.timestamp) {
      return { messages, hasNext: true }
    }
    messages.push(scheduled)
  }
  return { messages, hasNext: false }
}

/** Timestamps never go back, so the first nonce after one is found by halving. */
async function firstAfter(log: AssignmentLog, process: ProcessId, timestamp: number): Promise<Nonce> {
  let low = 0
  let high = ((await log.tail(process))?.nonce ?? -1) + 1
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const found = await log.at(process, middle as Nonce)
    if (found !== undefined && found.timestamp <= timestamp) low = middle + 1
    else high = middle
  }
  return low as Nonce
}

import type { AbortOptions } from '../lib/abort.ts'
import { AoError } from '../lib/errors.ts'
import type { Scheduler } from '../ports/units.ts'
import type { ScheduledMessage } from '../protocol/assignment.ts'
import type { Nonce, ProcessId } from '../protocol/ids.ts'

export interface PageQuery {
  /** What `from` and `to` count: nonces, or milliseconds since the Unix epoch. */
  readonly by: 'nonce' | 'timestamp'
  /** Exclusive: the cursor of the page before. Without it the page begins with the Process. */
  readonly from?: number | undefined
  /** Inclusive. */
  readonly to?: number | undefined
  readonly limit: number
}
export interface SchedulePage {
  readonly rows: readonly ScheduledMessage[]
  readonly hasNext: boolean
}
export type PageSource = Pick<Scheduler, 'assignment' | 'read'>

/** Bytes of items: a page ends after the row that crosses the first, and must never cross the second. */
export interface PageBytes {
  readonly soft: number
  readonly hard: number
}
const defaultBytes: PageBytes = { soft: 16 * 1024 * 1024, hard: 64 * 1024 * 1024 }

/**
 * One page of a schedule. Messages of one millisecond stay together when paging by time, even over the limit: a reader
 * that goes on after the last timestamp of a page misses none.
 *
 * @throws AoError `UNKNOWN_PROCESS`; `TOO_LARGE` if the messages of one millisecond are too large for one page.
 */
export async function schedulePage(
  source: PageSource,
  { process, query }: { readonly process: ProcessId; readonly query: PageQuery },
  { bytes = defaultBytes, ...options }: AbortOptions & { readonly bytes?: PageBytes } = {},
): Promise<SchedulePage> {
  const { by, to = Number.POSITIVE_INFINITY, limit } = query
  const newest = await source.assignment(process, 'newest', options)
  const from = await firstNonce(source, { process, query, end: newest.nonce + 1 }, options)
  const rows: ScheduledMessage[] = []
  if (from > newest.nonce) return { rows, hasNext: false }
  let size = 0
  for await (const row of source.read(process, { from, to: newest.nonce }, options)) {
    const { nonce, timestamp } = row.assignment
    if ((by === 'nonce' ? nonce : timestamp) > to) break
    const full = rows.length >= limit || size > bytes.soft
    const tied = by === 'timestamp' && timestamp === rows.at(-1)?.assignment.timestamp
    if (full && !tied) return { rows, hasNext: true }
    size += row.assignment.raw.length + (row.message?.raw.length ?? 0)
    if (size > bytes.hard) throw tooLarge(process, timestamp)
    rows.push(row)
  }
  return { rows, hasNext: false }
}

/** The first nonce after `from`. Timestamps never go back, so it is found by halving. */
async function firstNonce(
  source: PageSource,
  { process, query, end }: { readonly process: ProcessId; readonly query: PageQuery; readonly end: number },
  options: AbortOptions,
): Promise<Nonce> {
  const { by, from } = query
  if (from === undefined) return 0 as Nonce
  if (by === 'nonce') return (from + 1) as Nonce
  let [low, high] = [0, end]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const { timestamp } = await source.assignment(process, middle as Nonce, options)
    if (timestamp <= from) low = middle + 1
    else high = middle
  }
  return low as Nonce
}

const tooLarge = (process: ProcessId, timestamp: number): AoError =>
  new AoError(
    'TOO_LARGE',
    'the messages of one millisecond are too large for one page',
    { process, timestamp },
    { hint: 'Page by from-nonce and to-nonce: those pages may end anywhere.' },
  )

import type { ScheduledMessage } from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { Id } from '../../protocol/ids.ts'

/** An entry of the log at its position. */
export interface LogEntry {
  readonly position: number
  readonly scheduled: ScheduledMessage
}

export interface BundleLimits {
  /** Of the items in one bundle. One entry over it still gets a bundle, of its own. */
  readonly maxBytes: number
  /** Log entries in one bundle. */
  readonly maxItems: number
  /** How long an entry may wait for others, in milliseconds. */
  readonly maxAgeMs: number
}

/** What goes into one bundle: log positions `from` to `to`, inclusive, message before assignment. */
export interface BundlePlan {
  readonly from: number
  readonly to: number
  readonly items: readonly Pick<DataItem, 'id' | 'raw'>[]
}

/**
 * The next bundle out of entries in log order: the longest run within the limits, once it is full or its first entry
 * is old enough; undefined while it is worth waiting.
 */
export function planBundle(entries: readonly LogEntry[], limits: BundleLimits, now: number): BundlePlan | undefined {
  const [first] = entries
  if (first === undefined) return undefined
  let bytes = 0
  const run: LogEntry[] = []
  for (const entry of entries) {
    bytes += bytesOf(entry)
    if (run.length > 0 && (bytes > limits.maxBytes || run.length >= limits.maxItems)) break
    run.push(entry)
  }
  const full = run.length < entries.length || bytes >= limits.maxBytes || run.length >= limits.maxItems
  const old = now - first.scheduled.assignment.timestamp >= limits.maxAgeMs
  if (!full && !old) return undefined
  const to = run.at(-1)?.position ?? first.position
  return { from: first.position, to, items: run.flatMap(({ scheduled }) => itemsOf(scheduled)) }
}

/** Bytes that an entry adds to a bundle. */
export const bytesOf = ({ scheduled: { assignment, message } }: LogEntry): number =>
  assignment.raw.length + (message?.raw.length ?? 0)

const itemsOf = ({ assignment, message }: ScheduledMessage): readonly Pick<DataItem, 'id' | 'raw'>[] => [
  ...(message === undefined ? [] : [message]),
  { id: assignment.id as Id as DataItem['id'], raw: assignment.raw },
]

import { type AbortOptions, throwIfAborted, withDeadline } from '../../lib/abort.ts'
import { hasCode } from '../../lib/errors.ts'
import type { ResultAt, ResultStore, StoredResult } from '../../ports/result-store.ts'
import type { ResultBound, ResultsPage, ResultsQuery } from '../../ports/units.ts'
import { endOf } from '../../protocol/cron.ts'
import type { Nonce, ProcessId } from '../../protocol/ids.ts'
import { encodeResult } from '../../protocol/result.ts'

export interface PageDeps {
  readonly results: ResultStore
  /** The newest nonce of the schedule. */
  readonly newest: () => Promise<Nonce>
  /** Resolves when the cron messages up to now are stored. */
  readonly reachNow: (options: AbortOptions) => Promise<void>
  /** Resolves when the results up to there are stored. */
  readonly reach: (nonce: Nonce, options: AbortOptions) => Promise<void>
}
export interface PageOptions {
  /** How long a page waits for what is not evaluated yet, in milliseconds. */
  readonly catchUpMs: number
  /** Of the Results of one page. One larger than that makes a page of its own. */
  readonly maxPageBytes: number
}

/**
 * A page of what is stored, after what it lacks has been evaluated.
 *
 * Invariant: what is stored of a Process is a beginning of its schedule without gaps. So a page that waited long enough
 * and answers with less misses nothing: whoever goes on after its last row gets the rest later.
 */
export async function resultsPage(
  deps: PageDeps,
  { process, query }: { readonly process: ProcessId; readonly query: ResultsQuery },
  options: PageOptions & AbortOptions,
): Promise<ResultsPage> {
  if (query.crons) {
    await deps.reachNow(options)
    return read(deps.results, { process, query }, options)
  }
  if (!query.descending) {
    const stored = await read(deps.results, { process, query }, options)
    if (stored.hasNext) return stored // full already: the schedule need not be asked
  }
  await catchUp(deps, { process, query }, options)
  return read(deps.results, { process, query }, options)
}

async function catchUp(
  { results, newest, reach }: PageDeps,
  { process, query: { to } }: { readonly process: ProcessId; readonly query: ResultsQuery },
  { catchUpMs, signal }: PageOptions & AbortOptions,
): Promise<void> {
  const stored = (await results.newest(process))?.assignment
  if (stored !== undefined && to !== undefined && isBeyond(stored, to)) return
  const last = await newest()
  const goal = (to !== undefined && 'nonce' in to ? Math.min(to.nonce, last) : last) as Nonce
  if (stored !== undefined && stored.nonce >= goal) return
  try {
    await reach(goal, { signal: withDeadline(catchUpMs, { signal }) })
  } catch (error) {
    throwIfAborted(signal)
    if (!hasCode(error, 'DEADLINE')) throw error
  }
}

/** Whether everything up to the bound is stored. Messages of one millisecond may still follow one another. */
const isBeyond = (stored: { nonce: Nonce; timestamp: number }, to: ResultBound): boolean =>
  'nonce' in to ? stored.nonce >= to.nonce : stored.timestamp > to.timestamp

async function read(
  results: ResultStore,
  { process, query }: { readonly process: ProcessId; readonly query: ResultsQuery },
  { maxPageBytes, signal }: PageOptions & AbortOptions,
): Promise<ResultsPage> {
  const { descending, limit } = query
  const after = await placeAt(results, process, query.after)
  const to = await placeAt(results, process, query.to)
  const rows: StoredResult[] = []
  if (to === none) return { rows, hasNext: false }
  let bytes = 0
  const range = { after: after === none ? undefined : after, to, descending, cronsOnly: query.crons }
  for await (const row of results.succeeded(process, range)) {
    throwIfAborted(signal)
    bytes += encodeResult(row.result).length
    if (rows.length >= limit || (rows.length > 0 && bytes > maxPageBytes)) return { rows, hasNext: true }
    rows.push(row)
  }
  return { rows, hasNext: false }
}

/** The place before nonce 0. */
const none = -1

/** The last place whose time is not after the bound's. Timestamps never go back, so it is found by halving. */
async function placeAt(
  results: ResultStore,
  process: ProcessId,
  bound: ResultBound | undefined,
): Promise<ResultAt | typeof none | undefined> {
  if (bound === undefined) return undefined
  if ('nonce' in bound) return bound
  let low = 0
  let high = ((await results.newest(process))?.result.nonce ?? none) + 1
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const row = await results.get(process, middle as Nonce)
    if (row !== undefined && row.assignment.timestamp <= bound.timestamp) low = middle + 1
    else high = middle
  }
  return low === 0 ? none : { nonce: (low - 1) as Nonce, cron: endOf(bound.timestamp) }
}

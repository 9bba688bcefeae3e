import type { AbortOptions } from '../lib/abort.ts'
import { nextNonce, type ProcessId } from '../protocol/ids.ts'
import type { ResultAt, StoredResult } from './result-store.ts'
import type { Compute, ResultBound, Scheduler } from './units.ts'

export interface FollowResultsUnits {
  readonly scheduler: Pick<Scheduler, 'assignment' | 'read'>
  readonly compute: Pick<Compute, 'results'>
}

const pageRows = 100

/**
 * Results without those that failed: what is there after the place, without one from now on, and then what each message
 * gives that comes, the cron messages before it among them. Whoever was cut off goes on from the last one he has.
 *
 * @throws AoError as the units do; `ABORTED` once nobody listens.
 */
export async function* followResults(
  { scheduler, compute }: FollowResultsUnits,
  { process, after: from }: { readonly process: ProcessId; readonly after?: ResultBound | undefined },
  options: AbortOptions,
): AsyncIterable<StoredResult> {
  const { nonce } = await scheduler.assignment(process, 'newest', options)
  let after: ResultBound | ResultAt = from ?? { nonce }
  async function* news(): AsyncIterable<StoredResult> {
    for (let more = true; more; ) {
      const { rows, hasNext } = await compute.results(process, { after, descending: false, limit: pageRows }, options)
      for (const row of rows) {
        yield row
        after = { nonce: row.result.nonce, cron: row.result.cron }
      }
      more = hasNext
    }
  }
  yield* news()
  for await (const _ of scheduler.read(process, { from: nextNonce(nonce), follow: true }, options)) yield* news()
}

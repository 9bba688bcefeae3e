import type { AssignmentLog } from '../../ports/assignment-log.ts'
import type { ResultStore } from '../../ports/result-store.ts'
import type { NonceRange } from '../../ports/units.ts'
import type { ScheduledMessage } from '../../protocol/assignment.ts'
import { type Nonce, nextNonce, type ProcessId } from '../../protocol/ids.ts'

/**
 * What this node has of a schedule: the rows of its SU's log, else those that its CU evaluated. Whoever takes a Process
 * over collects its log from such.
 */
export const keptLog = ({ log, results }: { readonly log: AssignmentLog; readonly results: ResultStore }) =>
  async function* (process: ProcessId, { from, to }: NonceRange): AsyncIterable<ScheduledMessage> {
    let next = from
    for await (const row of log.read(process, { from, to })) {
      yield row
      next = nextNonce(row.assignment.nonce)
    }
    if (next > (to ?? Number.POSITIVE_INFINITY)) return
    for await (const row of results.scheduled(process, { from: next, to })) {
      if (row.assignment.nonce !== next) return // it began at a checkpoint: what is missing makes the rest useless
      yield row
      next = (next + 1) as Nonce
    }
  }

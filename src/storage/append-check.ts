import { AoError } from '../lib/errors.ts'
import type { ScheduledMessage } from '../protocol/assignment.ts'
import { type MessageId, type Nonce, nextNonce, type ProcessId } from '../protocol/ids.ts'

/** What a log holds already, as far as a batch needs to know. */
export interface LogFacts {
  /** The last nonce of a Process. */
  tail(process: ProcessId): Nonce | undefined
  nonceOf(process: ProcessId, message: MessageId): Nonce | undefined
}

/**
 * May this batch be appended? Every AssignmentLog asks here before it writes, so all refuse the same.
 *
 * @throws AoError `EQUIVOCATION` if a nonce is taken or a message has one already; `NONCE_GAP` if one is left out.
 */
export function checkAppend(batch: readonly ScheduledMessage[], log: LogFacts): void {
  const tails = new Map<ProcessId, Nonce>()
  const given = new Set<string>()
  for (const { assignment } of batch) {
    const { process, message, nonce } = assignment
    const expected = nextNonce(tails.get(process) ?? log.tail(process))
    if (nonce > expected) throw new AoError('NONCE_GAP', 'the log would have a gap', { process, expected, nonce })
    if (nonce < expected) throw new AoError('EQUIVOCATION', 'this nonce is taken', { process, nonce, message })
    const pair = `${process} ${message}`
    const first = log.nonceOf(process, message)
    if (first !== undefined || given.has(pair)) {
      throw new AoError('EQUIVOCATION', 'this message has a nonce already', { process, message, nonce, first })
    }
    tails.set(process, nonce)
    given.add(pair)
  }
}

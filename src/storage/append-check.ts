import { AoError } from '../lib/errors.ts'
import type { LogEntry } from '../ports/assignment-log.ts'
import { type MessageId, type Nonce, nextNonce, type ProcessId } from '../protocol/ids.ts'
import type { Origin } from '../protocol/origin.ts'

/** What a log holds already, as far as a batch needs to know. */
export interface LogFacts {
  /** The last nonce of a Process. */
  tail(process: ProcessId): Nonce | undefined
  nonceOf(process: ProcessId, message: MessageId | Origin): Nonce | undefined
}

/**
 * May this batch be appended? Every AssignmentLog asks here before it writes, so all refuse the same.
 *
 * @throws AoError `EQUIVOCATION` if a nonce is taken or a message has one already; `NONCE_GAP` if one is left out.
 */
export function checkAppend(batch: readonly LogEntry[], log: LogFacts): void {
  const tails = new Map<ProcessId, Nonce>()
  const given = new Set<string>()
  for (const { assignment, origin } of batch) {
    const { process, message, nonce } = assignment
    const expected = nextNonce(tails.get(process) ?? log.tail(process))
    if (nonce > expected) throw new AoError('NONCE_GAP', 'the log would have a gap', { process, expected, nonce })
    if (nonce < expected) throw new AoError('EQUIVOCATION', 'this nonce is taken', { process, nonce, message })
    for (const name of origin === undefined ? [message] : [message, origin]) {
      const first = log.nonceOf(process, name)
      if (first !== undefined || given.has(`${process} ${name}`)) {
        throw new AoError('EQUIVOCATION', 'this message has a nonce already', { process, message, nonce, first })
      }
      given.add(`${process} ${name}`)
    }
    tails.set(process, nonce)
  }
}

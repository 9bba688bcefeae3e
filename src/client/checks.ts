import { AoError } from '../lib/errors.ts'
import type { Assignment } from '../protocol/assignment.ts'
import type { Address, Nonce, ProcessId } from '../protocol/ids.ts'

/** The first row of a schedule that is read from the middle. */
export function assertBegins(process: ProcessId, from: Nonce, { process: of, nonce }: Assignment): void {
  if (of === process && nonce === from) return
  const facts = { process, of, from, nonce }
  throw new AoError('INVALID_ASSIGNMENT', 'the schedule does not begin where it was asked for', facts)
}

export const notOfScheduler = (process: ProcessId, scheduler: Address): AoError =>
  new AoError('INVALID_ASSIGNMENT', 'the Assignment is not signed by the scheduler of the Process', {
    process,
    scheduler,
  })

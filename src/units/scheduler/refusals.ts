import { AoError } from '../../lib/errors.ts'
import type { SignFloor } from '../../ports/sign-guard.ts'
import type { Assignment, AssignmentPlan } from '../../protocol/assignment.ts'
import type { ProcessId } from '../../protocol/ids.ts'

export const stopping = (): AoError => new AoError('STOPPING', 'the scheduler is shutting down')

export const writeFailed = (cause?: unknown): AoError =>
  new AoError(
    'LOG_WRITE_FAILED',
    'the scheduler could not write its log',
    {},
    {
      cause,
      hint: 'Send the same message again: it keeps its place if it has one. The operator should check the disk.',
    },
  )

export const takenByAnother = ({ process, nonce, message }: AssignmentPlan): AoError =>
  new AoError(
    'EQUIVOCATION',
    'another message stands at a nonce that was promised here',
    { process, nonce, message },
    { hint: 'Two schedulers may be running with one key: stop one of them.' },
  )

/** This key has gone further than this log, so whatever it signed now might be a second Assignment of a nonce. */
export const behindFloor = ({ process, nonce }: SignFloor, tail: Assignment | undefined): AoError =>
  new AoError(
    'EQUIVOCATION',
    'the log is older than what this key has signed',
    { process, signed: nonce, log: tail?.nonce },
    {
      hint: 'The operator should put the newest data directory of this scheduler back: an old copy must not order.',
    },
  )

export const unknownProcess = (process: ProcessId): AoError =>
  new AoError(
    'UNKNOWN_PROCESS',
    'this scheduler does not host the Process',
    { process },
    { hint: 'Spawn it first, or ask the scheduler that its Scheduler tag names.' },
  )

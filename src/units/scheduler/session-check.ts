import { AoError } from '../../lib/errors.ts'
import type { OwnSession } from '../../ports/session.ts'
import type { Session } from '../../protocol/unit-record.ts'

/** A session of this scheduler's key that somebody knows of. */
export interface SeenSession {
  readonly session: Session
  /** When its record was signed, in milliseconds since the Unix epoch; infinite if it answers now; absent if unknown. */
  readonly issuedAt?: number | undefined
}

/**
 * What a session that is not this one says about it. `twin`: it ran after this start, so two nodes have the key.
 * `newer`: this data is older than what the key was used with. `past`: one before this, as there should be.
 */
export function judgeSession({ current, startedAt }: OwnSession, { session, issuedAt }: SeenSession): Verdict {
  if (session.instance === current.instance) return 'own'
  if (issuedAt !== undefined && issuedAt > startedAt) return 'twin'
  if (session.number > current.number) return 'newer'
  // One number is given once to one store: who has it too began on a copy.
  return session.number === current.number ? 'newer' : 'past'
}
type Verdict = 'own' | 'twin' | 'newer' | 'past'

export const twinRuns = ({ session }: SeenSession): AoError =>
  new AoError(
    'EQUIVOCATION',
    'another node runs with the key of this scheduler',
    { session: session.number, instance: session.instance },
    {
      hint: 'Both have stopped ordering. Stop the one whose data directory is older, for good; then start the other again, with --confirm-moved true.',
    },
  )

export const newerSession = ({ session }: SeenSession, { current }: OwnSession): AoError =>
  new AoError(
    'EQUIVOCATION',
    'the key of this scheduler was used later than this data directory knows',
    { seen: session.number, own: current.number },
    {
      hint: 'This is a copy or an old backup. Put the newest data directory back; if this is the newest, and no node runs on another, start once with --confirm-moved true.',
    },
  )

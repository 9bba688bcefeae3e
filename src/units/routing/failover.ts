import { type AbortOptions, throwIfAborted } from '../../lib/abort.ts'
import { AoError, hasCode, retryAdvice } from '../../lib/errors.ts'
import type { PeerDirectory } from '../../ports/peers.ts'
import type { Address } from '../../protocol/ids.ts'
import type { UnitRole } from '../../protocol/unit-record.ts'

/** One unit that could answer. `local` ones are not in the directory's ranking. */
export interface Candidate<T> {
  readonly address: Address
  readonly unit: T
  readonly local: boolean
}

/**
 * Asks one candidate after the other until one answers. Goes on only after a failure that another unit might not
 * have (`elsewhere`, `back-off`) and only while the caller waits; tells the directory how each call went.
 *
 * @throws AoError the first candidate's failure, or `PEER_UNREACHABLE` if there is no candidate at all.
 */
export async function firstAnswer<T, R>(
  candidates: readonly Candidate<T>[],
  call: (candidate: Candidate<T>) => Promise<R>,
  { role, directory, signal }: AbortOptions & { role: UnitRole; directory: PeerDirectory },
): Promise<R> {
  let first: unknown
  for (const candidate of candidates) {
    throwIfAborted(signal)
    try {
      const answer = await call(candidate)
      if (!candidate.local) directory.report(candidate.address, 'ok')
      return answer
    } catch (error) {
      throwIfAborted(signal)
      if (!candidate.local && isUnitsFault(error)) directory.report(candidate.address, 'failed', error)
      if (!mayWorkElsewhere(error)) throw error
      first ??= error
    }
  }
  throw (
    first ??
    new AoError(
      'PEER_UNREACHABLE',
      'no unit of this role is known',
      { role },
      { hint: `Start a node with the role ${role}, or wait until one has joined.` },
    )
  )
}

const mayWorkElsewhere = (error: unknown): boolean => {
  const advice = retryAdvice(error)
  return advice === 'elsewhere' || advice === 'back-off'
}

/** Being asked for what does not exist, or for what it does not offer, is no unit's fault. */
export const isUnitsFault = (error: unknown): boolean =>
  mayWorkElsewhere(error) && !hasCode(error, 'WRONG_UNIT', 'UNSUPPORTED_MODULE')

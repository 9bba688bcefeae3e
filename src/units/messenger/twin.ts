import type { AbortOptions } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import type { Scheduler } from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import { claimedOrigin } from '../../protocol/origin.ts'

/**
 * The message that the SU answered with instead of the one it was given, if it is the same part of the same outbox,
 * pushed by another MU. Without this check an SU could make a message vanish by naming any other.
 *
 * @throws AoError `INVALID_ASSIGNMENT` if it is not.
 */
export async function twinOf(
  item: DataItem,
  { process, nonce, message }: Assignment,
  { scheduler, signal }: AbortOptions & { readonly scheduler: Scheduler },
): Promise<DataItem> {
  const origin = claimedOrigin(item)
  for await (const { assignment, message: twin } of scheduler.read(process, { from: nonce, to: nonce }, { signal })) {
    if (twin === undefined || twin.id !== message || assignment.message !== message) break
    if (origin !== undefined && claimedOrigin(twin) === origin && twin.target === item.target) return twin
  }
  throw new AoError('INVALID_ASSIGNMENT', 'the scheduler answered with the Assignment of another message', {
    process,
    expected: item.id,
    got: message,
    nonce,
  })
}

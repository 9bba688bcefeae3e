import type { AbortOptions } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { AssignRequest } from '../../ports/units.ts'
import { type Tag, tagValue } from '../../protocol/tags.ts'
import { loadAssigned } from '../assigned-item.ts'

/** What the reference SU asks of a Process without the tag. */
const defaultDepth = 20
/** Tags of an Assignment have to fit an item. */
const maxExcluded = 16

/** Confirmations that a Process wants under transactions of Arweave itself: its tag `Settlement-Depth`. */
export function settlementDepthOf(tags: readonly Tag[]): number {
  const text = tagValue(tags, 'Settlement-Depth') ?? ''
  return /^[0-9]{1,6}$/.test(text) ? Number(text) : defaultDepth
}

/**
 * May this item get a place? An SU that assigns what is not there would stop every CU of the Process.
 *
 * @throws AoError `UNKNOWN_MESSAGE` if Arweave does not have it, or not deep enough; `INVALID_ARGUMENT` | `TOO_LARGE`.
 */
export async function assertAssignable(
  { item: id, baseLayer, exclude }: AssignRequest,
  {
    arweave,
    settlementDepth,
    ...options
  }: AbortOptions & { readonly arweave: ArweaveClient; readonly settlementDepth: number },
): Promise<void> {
  const wrong = exclude.find(field => !/^[A-Za-z0-9-]{1,32}$/.test(field))
  if (wrong !== undefined || exclude.length > maxExcluded) {
    throw new AoError(
      'INVALID_ARGUMENT',
      'exclude is not a list of fields',
      { exclude: wrong?.slice(0, 64), fields: exclude.length },
      { hint: 'Name fields such as Data, Tags, Anchor or Signature, separated by commas.' },
    )
  }
  const found = await loadAssigned(arweave, { id, exclude }, options)
  // Whatever the caller says of it: a transaction that is not deep in the chain may vanish.
  if (!found.baseLayer && !baseLayer) return
  const status = await arweave.status(id, options)
  const confirmations = typeof status === 'string' ? 0 : status.confirmations
  if (confirmations >= settlementDepth) return
  throw new AoError(
    'UNKNOWN_MESSAGE',
    'Not enough confirmations to assign',
    { id, confirmations, needed: settlementDepth, status: typeof status === 'string' ? status : 'mined' },
    {
      hint: found.baseLayer
        ? 'Try again when more blocks have been mined; the tag Settlement-Depth of the Process sets how many.'
        : 'This is an item of a bundle: assign it without base-layer.',
    },
  )
}

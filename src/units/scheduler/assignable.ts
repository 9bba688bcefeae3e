import type { AbortOptions } from '../../lib/abort.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { AssignRequest } from '../../ports/units.ts'
import { assertCrons } from '../../protocol/cron.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import { assertOnBoot, onBootItem } from '../../protocol/on-boot.ts'
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
 * May this Process item get a place? What it boots from must be there, or no CU could evaluate it.
 *
 * @throws AoError `INVALID_DATA_ITEM`; what `assertAssignable` throws of the item that its tag `On-Boot` names.
 */
export async function assertCanBegin(
  { tags }: DataItem,
  { arweave, ...options }: AbortOptions & { readonly arweave: ArweaveClient },
): Promise<void> {
  assertCrons(tags)
  assertOnBoot(tags)
  const item = onBootItem(tags)
  if (item === undefined) return
  const what = { item, baseLayer: false, exclude: [] }
  await assertAssignable(what, { arweave, settlementDepth: settlementDepthOf(tags), ...options }).catch(cause => {
    if (!hasCode(cause, 'UNKNOWN_MESSAGE')) throw cause
    const message = `the Process cannot boot from ${item}: ${cause.message}`
    throw new AoError('UNKNOWN_MESSAGE', message, { item }, { cause, hint: 'Spawn it once that is on Arweave.' })
  })
}

/**
 * May this item get a place? An SU that assigns what is not there would stop every CU of the Process.
 *
 * @throws AoError `UNKNOWN_MESSAGE` if Arweave does not have it, or not deep enough; `INVALID_ARGUMENT` | `TOO_LARGE`.
 */
export async function assertAssignable(
  { item: id, baseLayer, exclude }: Omit<AssignRequest, 'process'>,
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

import type { AbortOptions } from '../lib/abort.ts'
import { utf8 } from '../lib/bytes.ts'
import { AoError, hasCode } from '../lib/errors.ts'
import type { ArweaveClient, LayerOneTx } from '../ports/settlement.ts'
import { type DataItem, defaultItemLimits } from '../protocol/data-item.ts'
import type { Id, MessageId } from '../protocol/ids.ts'

/** What a Process sees of a message, wherever it was found. */
export type SeenItem = Pick<DataItem, 'id' | 'signature' | 'owner' | 'tags' | 'data'> & {
  /** A Process or a wallet. */
  readonly target: string | undefined
  readonly anchor: Uint8Array
}

/** Where an assigned item was found: `baseLayer` for a transaction of Arweave itself. */
export interface AssignedItem {
  readonly item: SeenItem
  readonly baseLayer: boolean
}

/** The same for all nodes of every network, or one would evaluate what another cannot. */
const maxAssignedBytes = defaultItemLimits.maxBytes

/**
 * Reads an item that is assigned from Arweave: of a bundle, or a transaction of Arweave itself. Signature, id and data
 * are checked. The data of a transaction is left out where it is excluded.
 *
 * @throws AoError `UNKNOWN_MESSAGE` if Arweave does not have it (yet), `TOO_LARGE`, `INVALID_DATA_ITEM`.
 */
export async function loadAssigned(
  arweave: Pick<ArweaveClient, 'item' | 'transaction' | 'transactionData'>,
  { id, exclude }: { readonly id: MessageId; readonly exclude: readonly string[] },
  options: AbortOptions = {},
): Promise<AssignedItem> {
  const item = await arweave.item(id, options).catch((error: unknown) => {
    if (!hasCode(error, 'INVALID_DATA_ITEM')) throw error // what is no item may be a transaction
  })
  if (item !== undefined) {
    assertSize(id, item.raw.length)
    return { item, baseLayer: false }
  }
  const tx = await arweave.transaction(id, options)
  if (tx === undefined) throw missing(id)
  return { item: await seenTx(tx, { arweave, withData: !exclude.includes('Data'), options }), baseLayer: true }
}

async function seenTx(
  tx: LayerOneTx,
  how: {
    readonly arweave: Pick<ArweaveClient, 'transactionData'>
    readonly withData: boolean
    readonly options: AbortOptions
  },
): Promise<SeenItem> {
  const { signature, owner, tags, target } = tx
  const seen = { id: tx.id as MessageId, signature, owner, tags, anchor: utf8(tx.anchor) }
  const seenTarget = target === '' ? undefined : target
  if (!how.withData) return { ...seen, target: seenTarget, data: new Uint8Array(0) }
  assertSize(tx.id, tx.dataSize)
  const data = await how.arweave.transactionData(tx.id, how.options)
  if (data === undefined) throw missing(tx.id)
  return { ...seen, target: seenTarget, data }
}

function assertSize(id: Id, bytes: number): void {
  if (bytes <= maxAssignedBytes) return
  throw new AoError(
    'TOO_LARGE',
    'the item is too large to be assigned',
    { id, bytes, limit: maxAssignedBytes },
    { hint: 'Assign a transaction without its data: exclude=Data.' },
  )
}

const missing = (id: Id): AoError =>
  new AoError(
    'UNKNOWN_MESSAGE',
    'Arweave does not have the item that is to be assigned',
    { id },
    { hint: 'A message is there once its scheduler has settled it, some seconds after it was sent: try again.' },
  )

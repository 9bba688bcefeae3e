import type { AbortOptions } from '../lib/abort.ts'
import type { BlockAnchor } from '../protocol/assignment.ts'
import type { DataItem } from '../protocol/data-item.ts'
import type { Address, Id } from '../protocol/ids.ts'
import type { Tag } from '../protocol/tags.ts'

/** Where a transaction stands. `confirmations` is 1 in its own block. */
export type TxStatus = 'absent' | 'pending' | { readonly blockHeight: number; readonly confirmations: number }

/** A signed transaction, kept so that exactly these bytes can be posted again. */
export interface PreparedTx {
  readonly id: Id
  /** Opaque to the caller; what `post` takes. */
  readonly payload: Uint8Array
}

/** What a gateway lists of an item. */
export interface ItemGlimpse {
  readonly id: Id
  readonly tags: readonly Tag[]
}

/** A transaction of Arweave itself, not an item in one. Everything but `data` is under its signature, which was checked. */
export interface LayerOneTx {
  readonly id: Id
  readonly owner: Address
  readonly ownerKey: Uint8Array
  readonly signature: Uint8Array
  readonly target: string
  /** `last_tx` in base64url. */
  readonly anchor: string
  readonly tags: readonly Tag[]
  readonly dataSize: number
}

/** Settlement: a real Arweave gateway or the embedded one, through the same routes. */
export interface ArweaveClient {
  /** Signs a transaction that carries the bundle and pays its fee. Nothing is sent. */
  prepare(bundle: Uint8Array, options?: AbortOptions): Promise<PreparedTx>
  /** Sends it; sending the same again is harmless. @throws AoError `SETTLEMENT_FAILED` | `PEER_UNREACHABLE` */
  post(tx: PreparedTx, options?: AbortOptions): Promise<void>
  status(id: Id, options?: AbortOptions): Promise<TxStatus>
  /** The data of a transaction or of an item inside a bundle; undefined if the gateway has none. */
  data(id: Id, options?: AbortOptions): Promise<Uint8Array | undefined>
  /** A bundled item, put together from what the gateway knows and verified against its id. */
  item(id: Id, options?: AbortOptions): Promise<DataItem | undefined>
  /**
   * A transaction of Arweave itself, its signature checked; undefined if the gateway has none.
   *
   * @throws AoError `INVALID_DATA_ITEM` if what the gateway gives is not the signed transaction of that id.
   */
  transaction(id: Id, options?: AbortOptions): Promise<LayerOneTx | undefined>
  /**
   * The data of a transaction, checked against what the transaction commits to; undefined if the gateway has none.
   *
   * @throws AoError `INVALID_DATA_ITEM`
   */
  transactionData(id: Id, options?: AbortOptions): Promise<Uint8Array | undefined>
  /** The newest items of an owner that have all these tags, newest first. The gateway's word: nothing is verified. */
  signedBy(
    owner: Address,
    tags: readonly Tag[],
    options: AbortOptions & { readonly limit: number },
  ): Promise<readonly ItemGlimpse[]>
  /** Hands a signed item to the gateway's bundler. */
  upload(item: DataItem, options?: AbortOptions): Promise<void>
  /** The block at a height; undefined if the gateway does not have it (yet). Near the newest it may still change. */
  block(height: number, options?: AbortOptions): Promise<BlockAnchor | undefined>
  /** The newest block this client sees. */
  head(options?: AbortOptions): Promise<BlockAnchor>
}

/** Quantities in base units, by account; those with nothing are left out. */
export type Holdings = ReadonlyMap<string, bigint>

/** What the reporters of an economy read. */
export interface HoldingsIndex {
  /** Who held how much of AR, or of a bridged asset, as of a block; undefined if the gateway does not tell (yet). */
  holdings(resource: string, height: number, options?: AbortOptions): Promise<Holdings | undefined>
}

/** Which transactions carry bundles with items of a kind. */
export interface BundleIndex {
  /** Transactions whose bundles hold items with all these tags, each once, oldest first. */
  bundlesWith(tags: readonly Tag[], options?: AbortOptions): Promise<readonly Id[]>
  /** Transactions whose bundles hold items with that target, as above. */
  bundlesTo(target: Id, options?: AbortOptions): Promise<readonly Id[]>
}

/** The settler's durable notes: how far the log is bundled, and each bundle that is not final yet. */
export interface SettlementStore {
  /** Position in the AssignmentLog (see `readAll`) up to which everything is in some bundle. */
  cursor(): Promise<number>
  /** Moves the cursor and keeps the bundle, all or nothing; resolves when on disk. */
  add(bundle: SettlingBundle): Promise<void>
  /** Bundles without a final confirmation, oldest first. */
  open(): Promise<readonly SettlingBundle[]>
  /** Replaces the state of a bundle; `settled` ones are kept without their payload. */
  update(bundle: SettlingBundle): Promise<void>
  /** Newest first, settled or not, at most `limit`. */
  recent(limit: number): Promise<readonly SettlingBundle[]>
}

export interface SettlingBundle {
  readonly tx: PreparedTx
  /** Log positions inside, inclusive. */
  readonly from: number
  readonly to: number
  readonly state: 'prepared' | 'posted' | 'seen' | 'settled'
  readonly posts: number
  /** Milliseconds since the Unix epoch of the last post; 0 before the first. */
  readonly postedAt: number
  readonly blockHeight: number | undefined
}

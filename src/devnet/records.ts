import type { Address, Id } from '../protocol/ids.ts'
import type { Tag } from '../protocol/tags.ts'

/** A transaction or bundled item as the devnet keeps it, without its data. Byte fields are base64url. */
export interface Entry {
  readonly id: Id
  /** 1: a transaction; 2: an ANS-104 item. */
  readonly layer: 1 | 2
  /**
   * Place in the order of arrival, which is also the order of blocks: a block takes everything that has arrived.
   * Absent while a transaction waits for its chunks.
   */
  readonly seq?: number | undefined
  readonly owner: Address
  readonly ownerKey: string
  readonly signature: string
  /** Empty for none. */
  readonly target: string
  /** `last_tx` of a transaction, anchor of an item. */
  readonly anchor: string
  readonly tags: readonly Tag[]
  /** Winston, decimal. */
  readonly quantity: string
  readonly reward: string
  readonly dataSize: number
  /** Empty for items. */
  readonly dataRoot: string
  readonly bundledIn?: Id | undefined
  /** Of the last data byte, counted from 1; only transactions with data have a place in the weave. */
  readonly weaveEnd?: number | undefined
}

/** An entry on its way in, before it has a place. */
export type NewEntry = Omit<Entry, 'seq' | 'weaveEnd'>

export interface Block {
  readonly height: number
  /** base64url of 48 bytes. */
  readonly hash: string
  /** Hash of the block before; empty at genesis. */
  readonly previous: string
  /** Seconds since the Unix epoch, never before the previous block's. */
  readonly timestamp: number
  /** Transactions, oldest first; bundled items are not listed, as on Arweave. */
  readonly txs: readonly Id[]
  /** Everything up to this `seq` lies in this block or an earlier one; -1 if nothing. */
  readonly lastSeq: number
  /** Bytes of data in the weave with this block. */
  readonly weaveSize: number
}

export interface Wallet {
  /** Winston, decimal. */
  readonly balance: string
  /** Empty before the first transaction. */
  readonly lastTx: string
}

import type { LogHead } from '../economy/rows.ts'
import type { Id, MessageId } from '../protocol/ids.ts'

/** Where the order of AO-Sec Origin stands, apart from its last Assignment. */
export interface OrderSnapshot {
  /** Which of the listed SUs orders now. */
  readonly epoch: number
  /** Height at which its turn began. */
  readonly since: number
  /** The last Assignment of each earlier SU; null if it had none. */
  readonly ends: readonly (LogHead | null)[]
  /** Messages by nonce, of the newest nonces. */
  readonly assigned: readonly (readonly [nonce: number, message: MessageId, epoch: number])[]
  /** Items without an Assignment, and the heights at which they were published. */
  readonly waiting: readonly (readonly [message: MessageId, height: number])[]
  /** Assignments out of turn, as base64url of their signed bytes. */
  readonly held: readonly string[]
}

/** How far a node has replayed AO-Sec Origin, with the whole state at that point. */
export interface EconomySnapshot {
  /** Signed bytes of the last Assignment that counted. */
  readonly last: Uint8Array
  readonly order: OrderSnapshot
  /** Bundles on Arweave that have been read. */
  readonly bundles: readonly Id[]
  /** What `snapshotState` of the economy tells, line by line. */
  readonly lines: readonly string[]
}

/** A node's own copy of the economy, so that a restart need not replay from the beginning. */
export interface EconomyStore {
  /** Of AO-Sec Origin with that id; undefined before the first `put`. */
  get(origin: Id): Promise<EconomySnapshot | undefined>
  /** Replaces it, all or nothing; resolves when on disk. */
  put(origin: Id, snapshot: EconomySnapshot): Promise<void>
}

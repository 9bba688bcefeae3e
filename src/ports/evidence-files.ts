import type { DataItem } from '../protocol/data-item.ts'
import type { Evidence } from '../protocol/evidence.ts'
import type { Id } from '../protocol/ids.ts'

/** Evidence that this node has found, each piece a file of its own that anybody can check (`aonet evidence check`). */
export interface EvidenceFiles {
  /** Keeps the signed Evidence item; resolves when on disk. */
  put(digest: Id, item: DataItem): Promise<void>
  all(): Promise<readonly Evidence[]>
}

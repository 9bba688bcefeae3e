import type { DataItem } from '../protocol/data-item.ts'
import type { ProcessId } from '../protocol/ids.ts'

/** Process items this node has met, by id: enough to know scheduler, module and authorities after a restart. */
export interface RouteStore {
  get(process: ProcessId): Promise<DataItem | undefined>
  put(process: DataItem): Promise<void>
}

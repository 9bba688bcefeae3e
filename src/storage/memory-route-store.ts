import type { RouteStore } from '../ports/route-store.ts'
import type { DataItem } from '../protocol/data-item.ts'
import type { Id, ProcessId } from '../protocol/ids.ts'

/** A RouteStore that forgets everything at the end of the program. */
export class MemoryRouteStore implements RouteStore {
  readonly #items = new Map<ProcessId, DataItem>()

  async get(process: ProcessId): Promise<DataItem | undefined> {
    return this.#items.get(process)
  }

  async put(process: DataItem): Promise<void> {
    this.#items.set(process.id as Id as ProcessId, process)
  }
}

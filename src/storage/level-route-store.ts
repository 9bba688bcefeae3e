import type { RouteStore } from '../ports/route-store.ts'
import { type DataItem, parseStoredItem } from '../protocol/data-item.ts'
import type { ProcessId } from '../protocol/ids.ts'
import { decoding } from './decoding.ts'
import { idPart, KeySpace } from './keys.ts'
import { put, type Store } from './store.ts'

/** process → Process item bytes. */
const rows = new KeySpace('route')

/** The RouteStore on disk. */
export class LevelRouteStore implements RouteStore {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  async get(process: ProcessId): Promise<DataItem | undefined> {
    const row = await this.#store.get(rows.key(idPart(process)))
    return row === undefined ? undefined : decoding('route', () => parseStoredItem(row))
  }

  async put(process: DataItem): Promise<void> {
    await this.#store.write([put(rows.key(idPart(process.id)), process.raw)])
  }
}

import type { EconomySnapshot, EconomyStore } from '../ports/economy-store.ts'
import type { Id } from '../protocol/ids.ts'

/** The EconomyStore in memory. */
export class MemoryEconomyStore implements EconomyStore {
  readonly #snapshots = new Map<Id, EconomySnapshot>()

  async get(origin: Id): Promise<EconomySnapshot | undefined> {
    return this.#snapshots.get(origin)
  }

  async put(origin: Id, snapshot: EconomySnapshot): Promise<void> {
    this.#snapshots.set(origin, structuredClone(snapshot))
  }
}

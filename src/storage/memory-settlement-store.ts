import type { SettlementStore, SettlingBundle } from '../ports/settlement.ts'
import { assertNextBundle, assertSameRange, withoutSpentPayload } from './bundle-row.ts'

/** A SettlementStore that forgets everything at the end of the program. */
export class MemorySettlementStore implements SettlementStore {
  readonly #bundles = new Map<number, SettlingBundle>()
  #cursor = 0

  async cursor(): Promise<number> {
    return this.#cursor
  }

  async add(bundle: SettlingBundle): Promise<void> {
    assertNextBundle(bundle, this.#cursor)
    this.#bundles.set(bundle.from, withoutSpentPayload(bundle))
    this.#cursor = bundle.to
  }

  async open(): Promise<readonly SettlingBundle[]> {
    return [...this.#bundles.values()].filter(bundle => bundle.state !== 'settled')
  }

  async update(bundle: SettlingBundle): Promise<void> {
    const stored = this.#bundles.get(bundle.from)
    assertSameRange(bundle, stored)
    this.#bundles.set(bundle.from, withoutSpentPayload(bundle))
  }

  async recent(limit: number): Promise<readonly SettlingBundle[]> {
    return [...this.#bundles.values()].reverse().slice(0, limit)
  }
}

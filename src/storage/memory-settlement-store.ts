import { AoError } from '../lib/errors.ts'
import type { SettlementStore, SettlingBundle } from '../ports/settlement.ts'

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

/** @throws AoError `INVALID_ARGUMENT` unless the bundle begins where the cursor stands: no position is left out or sent twice. */
export function assertNextBundle({ from, to }: SettlingBundle, cursor: number): void {
  if (from === cursor + 1 && to >= from) return
  throw new AoError('INVALID_ARGUMENT', 'the bundle does not follow the last one', { from, to, cursor })
}

/** @throws AoError `INVALID_ARGUMENT` unless a bundle of these positions was added. */
export function assertSameRange({ from, to }: SettlingBundle, stored: SettlingBundle | undefined): void {
  if (stored?.to === to) return
  throw new AoError('INVALID_ARGUMENT', 'no bundle of these positions was added', { from, to })
}

/** A settled bundle is on Arweave: nobody needs to post it again. */
export const withoutSpentPayload = (bundle: SettlingBundle): SettlingBundle =>
  bundle.state === 'settled' ? { ...bundle, tx: { id: bundle.tx.id, payload: new Uint8Array(0) } } : bundle

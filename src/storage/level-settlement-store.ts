import type { SettlementStore, SettlingBundle } from '../ports/settlement.ts'
import {
  assertNextBundle,
  assertSameRange,
  decodeBundleRow,
  encodeBundleRow,
  withoutSpentPayload,
} from './bundle-row.ts'
import { KeyedLock } from './keyed-lock.ts'
import { fromU64, KeySpace, u64 } from './keys.ts'
import { del, present, put, type Store, type WriteOp } from './store.ts'

/** First position → the bundle. */
const rows = new KeySpace('settling')
/** First positions of bundles that are not settled. */
const openRows = new KeySpace('settling-open')
/** Up to which position everything is in some bundle. */
const cursorKey = new KeySpace('settling-cursor').key()

/** The SettlementStore on disk. */
export class LevelSettlementStore implements SettlementStore {
  readonly #store: Store
  readonly #lock = new KeyedLock()

  constructor(store: Store) {
    this.#store = store
  }

  async cursor(): Promise<number> {
    const stored = await this.#store.get(cursorKey)
    return stored === undefined ? 0 : fromU64(stored)
  }

  add(bundle: SettlingBundle): Promise<void> {
    return this.#lock.run(['bundles'], async () => {
      assertNextBundle(bundle, await this.cursor())
      await this.#store.write([put(cursorKey, u64(bundle.to)), ...opsFor(bundle)])
    })
  }

  update(bundle: SettlingBundle): Promise<void> {
    return this.#lock.run(['bundles'], async () => {
      const stored = await this.#store.get(rows.key(u64(bundle.from)))
      assertSameRange(bundle, stored === undefined ? undefined : decodeBundleRow(stored))
      await this.#store.write(opsFor(bundle))
    })
  }

  async open(): Promise<readonly SettlingBundle[]> {
    const keys: Uint8Array[] = []
    for await (const [key] of this.#store.entries(openRows.range())) keys.push(rows.key(openRows.part(key, 0, 8)))
    const values = await this.#store.getMany(keys)
    return values.flatMap(value => (value === undefined ? [] : [decodeBundleRow(value)]))
  }

  async recent(limit: number): Promise<readonly SettlingBundle[]> {
    const found: SettlingBundle[] = []
    for await (const [, value] of this.#store.entries({ ...rows.range(), reverse: true, limit: Math.max(0, limit) })) {
      found.push(decodeBundleRow(value))
    }
    return found
  }
}

function opsFor(bundle: SettlingBundle): readonly WriteOp[] {
  const from = u64(bundle.from)
  const row = put(rows.key(from), encodeBundleRow(withoutSpentPayload(bundle)))
  return [row, bundle.state === 'settled' ? del(openRows.key(from)) : put(openRows.key(from), present)]
}

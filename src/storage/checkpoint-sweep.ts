import type { Id } from '../protocol/ids.ts'
import { checkpointTables as tables } from './checkpoint-tables.ts'
import type { KeyRange } from './keys.ts'
import { del, firstEntry, type Store, type WriteOp } from './store.ts'

export interface Sweepings {
  /** Refs whose manifest is gone. */
  readonly ops: readonly WriteOp[]
  /** Pages that nothing names, as they are on disk. */
  readonly pages: readonly (readonly [hash: Id, packed: Uint8Array])[]
  /** Whether all has been looked at since the round began. */
  readonly done: boolean
}

/**
 * Finds what damage has left behind, a few rows at a time: first refs without a manifest, then pages without a ref.
 * Ordinary changes leave nothing to find. Called only while nothing else changes the store.
 */
export class CheckpointSweep {
  readonly #store: Store
  #phase: 'refs' | 'pages' = 'refs'
  #after: Uint8Array | undefined

  constructor(store: Store) {
    this.#store = store
  }

  async next(limit: number): Promise<Sweepings> {
    return this.#phase === 'refs' ? this.#refs(limit) : this.#pages(limit)
  }

  async #refs(limit: number): Promise<Sweepings> {
    const keys: Uint8Array[] = []
    for await (const [key] of this.#store.entries(this.#range(tables.allRefs(), limit))) keys.push(key)
    const rows = await this.#store.getMany(
      keys.map(key => {
        const { process, nonce } = tables.readRef(key)
        return tables.manifestKey(process, nonce)
      }),
    )
    this.#advance(keys, limit, 'pages')
    return { ops: keys.filter((_, i) => rows[i] === undefined).map(del), pages: [], done: false }
  }

  async #pages(limit: number): Promise<Sweepings> {
    const keys: Uint8Array[] = []
    const unused: (readonly [Id, Uint8Array])[] = []
    for await (const [key, packed] of this.#store.entries(this.#range(tables.allPages(), limit))) {
      keys.push(key)
      const hash = tables.hashOf(key)
      if ((await firstEntry(this.#store, tables.refsOf(hash))) === undefined) unused.push([hash, packed])
    }
    return { ops: [], pages: unused, done: this.#advance(keys, limit, 'refs') }
  }

  #range({ gte, lt }: KeyRange, limit: number): KeyRange {
    // The least key that comes after another is that one and a zero byte.
    return { gte: this.#after === undefined ? gte : Buffer.concat([this.#after, Buffer.of(0)]), lt, limit }
  }

  #advance(seen: readonly Uint8Array[], limit: number, next: 'refs' | 'pages'): boolean {
    const over = seen.length < limit
    this.#after = over ? undefined : seen.at(-1)
    if (over) this.#phase = next
    return over
  }
}

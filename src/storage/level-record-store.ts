import type { RecordStore } from '../ports/record-store.ts'
import { KeySpace, u64 } from './keys.ts'
import { del, put, type Store, type WriteOp } from './store.ts'

/** rank → signed bytes of a unit record. */
const rows = new KeySpace('unit-record')

/** The RecordStore on disk. Not synced: a power cut costs a few seconds of looking for peers. */
export class LevelRecordStore implements RecordStore {
  readonly #store: Store
  #saved: number | undefined

  constructor(store: Store) {
    this.#store = store
  }

  async load(): Promise<readonly Uint8Array[]> {
    const records: Uint8Array[] = []
    for await (const [, value] of this.#store.entries(rows.range())) records.push(value)
    this.#saved = records.length
    return records
  }

  async save(records: readonly Uint8Array[]): Promise<void> {
    const before = this.#saved ?? (await this.load()).length
    const ops: WriteOp[] = records.map((record, i) => put(rows.key(u64(i)), record))
    for (let i = records.length; i < before; i++) ops.push(del(rows.key(u64(i))))
    if (ops.length > 0) await this.#store.write(ops, { sync: false })
    this.#saved = records.length
  }
}

import type { ResultStore, StoredResult } from '../ports/result-store.ts'
import type { MessageId, Nonce, ProcessId } from '../protocol/ids.ts'
import { KeyedLock } from './keyed-lock.ts'
import { fromU64, idPart, KeySpace, u64 } from './keys.ts'
import { assertSameRow, decodeRow, encodeRow } from './result-row.ts'
import { firstEntry, present, put, type Store } from './store.ts'

/** (process, nonce) → assignment bytes, attestation bytes, canonical Result. */
const rows = new KeySpace('result')
/** (process, message) → nonce. */
const nonces = new KeySpace('result-nonce')
/** (process, nonce) of each Result without error: a page of those must not wade through the others. */
const good = new KeySpace('result-good')

/** Rows fetched at once while a range is read. */
const chunk = 32

/** The ResultStore on disk. */
export class LevelResultStore implements ResultStore {
  readonly #store: Store
  readonly #lock = new KeyedLock()

  constructor(store: Store) {
    this.#store = store
  }

  async get(process: ProcessId, nonce: Nonce): Promise<StoredResult | undefined> {
    const row = await this.#store.get(rowKey(process, nonce))
    return row === undefined ? undefined : decodeRow(row)
  }

  async nonceOf(process: ProcessId, message: MessageId): Promise<Nonce | undefined> {
    const nonce = await this.#store.get(nonceKey(process, message))
    return nonce === undefined ? undefined : (fromU64(nonce) as Nonce)
  }

  async *succeeded(
    process: ProcessId,
    { after, to, descending }: { after?: Nonce | undefined; to?: Nonce | undefined; descending: boolean },
  ): AsyncIterable<StoredResult> {
    const all = good.range(idPart(process))
    const gte = after === undefined ? all.gte : goodKey(process, after + 1)
    const lt = to === undefined ? all.lt : goodKey(process, to + 1)
    if (Buffer.compare(gte, lt) >= 0) return
    let keys: Uint8Array[] = []
    for await (const [key] of this.#store.entries({ gte, lt, reverse: descending })) {
      keys.push(rows.key(good.part(key, 0, 40)))
      if (keys.length < chunk) continue
      yield* await this.#rows(keys)
      keys = []
    }
    yield* await this.#rows(keys)
  }

  async newest(process: ProcessId): Promise<StoredResult | undefined> {
    const last = await firstEntry(this.#store, { ...rows.range(idPart(process)), reverse: true })
    return last === undefined ? undefined : decodeRow(last[1])
  }

  put(row: StoredResult): Promise<void> {
    const { process, nonce } = row.result
    // Two at once about one nonce must not both find nothing stored.
    return this.#lock.run([`${process} ${nonce}`], async () => {
      const key = rowKey(process, nonce)
      const stored = await this.#store.get(key)
      if (stored !== undefined) return assertSameRow(stored, row)
      await this.#store.write([
        put(key, encodeRow(row)),
        put(nonceKey(process, row.assignment.message), u64(nonce)),
        ...(row.result.error === undefined ? [put(goodKey(process, nonce), present)] : []),
      ])
    })
  }

  async #rows(keys: readonly Uint8Array[]): Promise<readonly StoredResult[]> {
    const values = await this.#store.getMany(keys)
    return values.flatMap(value => (value === undefined ? [] : [decodeRow(value)]))
  }
}

const rowKey = (process: ProcessId, nonce: Nonce): Uint8Array => rows.key(idPart(process), u64(nonce))
const goodKey = (process: ProcessId, nonce: number): Uint8Array => good.key(idPart(process), u64(nonce))
const nonceKey = (process: ProcessId, message: MessageId): Uint8Array => nonces.key(idPart(process), idPart(message))

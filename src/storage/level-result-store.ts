import { LRUCache } from 'lru-cache'
import { failpoint } from '../lib/failpoint.ts'
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

/** What was put or read lately is asked for again at once: by whoever waits for it, and by the MU that pushes it. */
const cachedBytes = 16 << 20
/** Processes whose newest nonce is kept at hand: beyond it nothing is stored, so nobody need look. */
const cachedNewest = 16_384

/** The ResultStore on disk. */
export class LevelResultStore implements ResultStore {
  readonly #store: Store
  readonly #lock = new KeyedLock()
  /** By (process, nonce). Rows are never replaced, so none is ever out of date. */
  readonly #recent = new LRUCache<string, StoredResult>({ maxSize: cachedBytes })
  /** -1 for none. Set under the lock of a `put` or from the disk before any. */
  readonly #newest = new LRUCache<ProcessId, number>({ max: cachedNewest })

  constructor(store: Store) {
    this.#store = store
  }

  async get(process: ProcessId, nonce: Nonce): Promise<StoredResult | undefined> {
    const recent = this.#recent.get(nameOf(process, nonce))
    if (recent !== undefined) return recent
    if (nonce > (this.#newest.get(process) ?? Number.POSITIVE_INFINITY)) return undefined
    const row = await this.#store.get(rowKey(process, nonce))
    return row === undefined ? undefined : this.#remember(decodeRow(row), row.length)
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
    return this.#lock.run([process], async () => {
      const key = rowKey(process, nonce)
      const newest = await this.#newestOf(process)
      const stored = nonce > newest ? undefined : await this.#store.get(key)
      if (stored !== undefined) return assertSameRow(stored, row)
      failpoint('result-looked-up')
      const bytes = encodeRow(row)
      await this.#store.write([
        put(key, bytes),
        put(nonceKey(process, row.assignment.message), u64(nonce)),
        ...(row.result.error === undefined ? [put(goodKey(process, nonce), present)] : []),
      ])
      failpoint('result-written')
      this.#newest.set(process, Math.max(newest, nonce))
      this.#remember(row, bytes.length)
    })
  }

  async #newestOf(process: ProcessId): Promise<number> {
    const known = this.#newest.get(process)
    if (known !== undefined) return known
    const [last] = (await firstEntry(this.#store, { ...rows.range(idPart(process)), reverse: true })) ?? []
    const newest = last === undefined ? -1 : fromU64(rows.part(last, 32, 8))
    this.#newest.set(process, newest)
    return newest
  }

  #remember(row: StoredResult, size: number): StoredResult {
    this.#recent.set(nameOf(row.result.process, row.result.nonce), row, { size })
    return row
  }

  async #rows(keys: readonly Uint8Array[]): Promise<readonly StoredResult[]> {
    const values = await this.#store.getMany(keys)
    return values.flatMap(value => (value === undefined ? [] : [decodeRow(value)]))
  }
}

const nameOf = (process: ProcessId, nonce: Nonce): string => `${process} ${nonce}`
const rowKey = (process: ProcessId, nonce: Nonce): Uint8Array => rows.key(idPart(process), u64(nonce))
const goodKey = (process: ProcessId, nonce: number): Uint8Array => good.key(idPart(process), u64(nonce))
const nonceKey = (process: ProcessId, message: MessageId): Uint8Array => nonces.key(idPart(process), idPart(message))

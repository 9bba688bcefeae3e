import type { KeptItemsTotals, KeptPlace } from '../ports/result-store.ts'
import { type DataItem, parseStoredItem } from '../protocol/data-item.ts'
import type { Nonce, ProcessId } from '../protocol/ids.ts'
import { fromIdPart, fromU64, idPart, KeySpace, u64 } from './keys.ts'
import { del, put, type Store, type WriteOp } from './store.ts'

/** (process, nonce) → bytes of the item as it was ordered; absent for what is on Arweave already. */
const items = new KeySpace('result-item')
/** → how many there are, and their bytes. */
const totals = new KeySpace('result-item-totals')

/** The items that a CU evaluated, kept until they can be had from Arweave. */
export class KeptItems {
  readonly #store: Store
  #totals: Promise<{ items: number; bytes: number }> | undefined

  constructor(store: Store) {
    this.#store = store
  }

  async totals(): Promise<KeptItemsTotals> {
    this.#totals ??= this.#load()
    return { ...(await this.#totals) }
  }

  async get(process: ProcessId, nonce: Nonce): Promise<DataItem | undefined> {
    const bytes = await this.#store.get(keyOf(process, nonce))
    return bytes && parseStoredItem(bytes)
  }

  async write({ process, nonce }: KeptPlace, item: DataItem): Promise<readonly WriteOp[]> {
    return [put(keyOf(process, nonce), item.raw), await this.#count(1, item.raw.length)]
  }

  async remove({ process, nonce }: KeptPlace): Promise<readonly WriteOp[]> {
    const bytes = await this.#store.get(keyOf(process, nonce))
    return bytes === undefined ? [] : [del(keyOf(process, nonce)), await this.#count(-1, -bytes.length)]
  }

  /** From that place on, by Process and nonce. */
  async list(from: KeptPlace | undefined, limit: number): Promise<readonly KeptPlace[]> {
    const { gte, lt } = items.range()
    const found: KeptPlace[] = []
    const start = from === undefined ? gte : keyOf(from.process, from.nonce)
    for await (const [key] of this.#store.entries({ gte: start, lt, limit })) {
      const process = fromIdPart<ProcessId>(items.part(key, 0, 32))
      found.push({ process, nonce: fromU64(items.part(key, 32, 8)) as Nonce })
    }
    return found
  }

  async #count(count: number, bytes: number): Promise<WriteOp> {
    this.#totals ??= this.#load()
    const known = await this.#totals
    known.items = Math.max(0, known.items + count)
    known.bytes = Math.max(0, known.bytes + bytes)
    return put(totals.key(), Buffer.concat([u64(known.items), u64(known.bytes)]))
  }

  async #load(): Promise<{ items: number; bytes: number }> {
    const stored = await this.#store.get(totals.key())
    return stored === undefined
      ? { items: 0, bytes: 0 }
      : { items: fromU64(stored.subarray(0, 8)), bytes: fromU64(stored.subarray(8, 16)) }
  }
}

const keyOf = (process: ProcessId, nonce: Nonce): Uint8Array => items.key(idPart(process), u64(nonce))

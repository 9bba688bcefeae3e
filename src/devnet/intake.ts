import { AoError } from '../lib/errors.ts'
import type { Telemetry } from '../lib/telemetry.ts'
import { type DataItem, verifyDataItem } from '../protocol/data-item.ts'
import type { Id } from '../protocol/ids.ts'
import { itemEntry, type UnpackedItem, unbundle } from './bundles.ts'
import type { Chain } from './chain.ts'
import { proveChunk } from './chunk-proofs.ts'
import { ChunkStore } from './chunk-store.ts'
import { arResource, deposit, type Resource, sealHoldings, touched } from './holdings.ts'
import { Lane } from './lane.ts'
import type { Block, Entry, NewEntry } from './records.ts'
import { lists, listsOf, postingKey } from './search-keys.ts'
import { numberKey, put, type Store, type Write } from './store.ts'
import { maxDataBytes, verifyTransaction } from './transaction.ts'
import { emptyWallet, paymentWrites } from './wallets.ts'

/** Arrivals that wait for a block; the timer empties this long before it is full. */
const maxPending = 100_000

/** Numbers that a batch uses up. */
interface Place {
  nextSeq: number
  weaveSize: number
}

/**
 * Everything that changes the devnet: verified outside, then written one after the other.
 *
 * Invariant: what one call brings in (a bundle with all its items) becomes visible at once or not at all.
 */
export class Intake {
  readonly #store: Store
  readonly #chain: Chain
  readonly #log: Telemetry['log']
  readonly #lane = new Lane()
  readonly #chunks: ChunkStore
  readonly #arrivals: ReturnType<Telemetry['metrics']['counter']>

  constructor({ log, metrics }: Telemetry, store: Store, chain: Chain) {
    this.#store = store
    this.#chain = chain
    this.#log = log
    this.#chunks = new ChunkStore(store.tables)
    this.#arrivals = metrics.counter('aonet_devnet_arrivals_total', 'Transactions and items taken in.', ['layer'])
  }

  /**
   * Takes the JSON of a signed transaction; its data may come later in chunks.
   *
   * @returns `known` if it has been taken before; its fee is then not paid again.
   * @throws AoError `INVALID_ARGUMENT` | `INVALID_DATA_ITEM` | `TOO_LARGE` | `SETTLEMENT_FAILED` | `OVERLOADED`
   */
  async transaction(json: unknown): Promise<'accepted' | 'known'> {
    const { entry, data } = await verifyTransaction(json)
    const inside = data === undefined ? [] : await this.#open(entry, data)
    return this.#lane.run(async () => {
      const known = await this.#store.tables.entries.get(entry.id)
      if (known !== undefined) {
        if (data !== undefined) await this.#complete(known, data, inside)
        return 'known'
      }
      const writes = [...(await paymentWrites(this.#store.tables, entry, hash => this.#chain.isRecent(hash)))]
      const place = this.#place()
      const placed = this.#inWeave(entry, place, writes)
      if (data === undefined) writes.push(put(this.#store.tables.entries, entry.id, placed), this.#chunks.await(entry))
      else await this.#arrive([{ entry: placed, data }, ...inside], place, writes)
      await this.#commit(writes, place)
      return 'accepted'
    })
  }

  /** Takes a signed item as a bundler would. A known item is no error. @throws AoError `INVALID_DATA_ITEM` | `TOO_LARGE` */
  async item(bytes: Uint8Array): Promise<DataItem> {
    const item = await verifyDataItem(bytes, { maxBytes: maxDataBytes })
    const entry = itemEntry(item)
    const arrivals = [{ entry, data: item.data }, ...(await this.#open(entry, item.data))]
    await this.#lane.run(async () => {
      const writes: Write[] = []
      const place = this.#place()
      await this.#arrive(arrivals, place, writes)
      await this.#commit(writes, place)
    })
    return item
  }

  /** Takes the JSON of a chunk; the last one completes its transaction. @throws AoError `INVALID_ARGUMENT` */
  async chunk(json: unknown): Promise<void> {
    const chunk = await proveChunk(json)
    const waits = await this.#lane.run(async () => {
      const waiting = await this.#chunks.waitingFor(chunk)
      if (waiting.length > 0) await this.#store.write([this.#chunks.keep(chunk)])
      return waiting.length > 0
    })
    if (waits) await this.#completeWaiting(await this.#chunks.waitingFor(chunk))
    else if (!(await this.#hasData(chunk.dataRoot, chunk.dataSize))) throw unknownRoot(chunk.dataRoot)
  }

  /** Completes what a crash left with all its chunks. */
  async resume(): Promise<void> {
    await this.#completeWaiting(await this.#chunks.waiting())
  }

  mine(): Promise<Block> {
    return this.#lane.run(() => this.#chain.mine(height => sealHoldings(this.#store.tables, height)))
  }

  /** Gives an address winston out of nothing. @returns its balance */
  mint(address: string, winston: bigint): Promise<bigint> {
    const { wallets } = this.#store.tables
    return this.#lane.run(async () => {
      const wallet = (await wallets.get(address)) ?? emptyWallet
      const balance = BigInt(wallet.balance) + winston
      const touch = touched(this.#store.tables, arResource, address)
      await this.#store.write([put(wallets, address, { ...wallet, balance: String(balance) }), touch])
      return balance
    })
  }

  /** Gives an address a deposit of a bridged asset out of nothing. @returns what it has */
  deposit(resource: Resource, address: string, quantity: bigint): Promise<bigint> {
    return this.#lane.run(async () => {
      const { balance, writes } = await deposit(this.#store.tables, { resource, address, quantity })
      await this.#store.write(writes)
      return balance
    })
  }

  /** Refuses new work; resolves when the accepted work is on disk. */
  close(): Promise<void> {
    return this.#lane.close()
  }

  #place(): Place {
    const pending = this.#chain.nextSeq - this.#chain.head.lastSeq - 1
    if (pending >= maxPending) {
      const hint = 'Mine a block: POST /mine.'
      throw new AoError('OVERLOADED', 'too many transactions wait for a block', { limit: maxPending }, { hint })
    }
    return { nextSeq: this.#chain.nextSeq, weaveSize: this.#chain.weaveSize }
  }

  async #commit(writes: readonly Write[], place: Place): Promise<void> {
    if (writes.length === 0) return
    await this.#store.write(writes)
    this.#chain.advance(place)
  }

  async #open(entry: NewEntry, data: Uint8Array): Promise<readonly UnpackedItem[]> {
    const { items, refused } = await unbundle(entry, data)
    if (refused > 0) this.#log.warn('bundle_items_refused', { id: entry.id, refused, accepted: items.length })
    return items
  }

  #inWeave(entry: NewEntry, place: Place, writes: Write[]): Entry {
    if (entry.dataSize === 0) return entry
    place.weaveSize += entry.dataSize
    writes.push(put(this.#store.tables.weave, numberKey(place.weaveSize), entry.id))
    return { ...entry, weaveEnd: place.weaveSize }
  }

  /** Gives each arrival the next place. A known item keeps its own, and learns which bundle carries it. */
  async #arrive(arrivals: readonly { entry: Entry; data: Uint8Array }[], place: Place, writes: Write[]): Promise<void> {
    const { entries, data: dataOf, postings } = this.#store.tables
    const ids = [...new Set(arrivals.map(({ entry }) => entry.id))]
    const found = await entries.getMany(ids)
    const known = new Map<Id, Entry>(found.flatMap(entry => (entry === undefined ? [] : [[entry.id, entry]])))
    for (const { entry, data } of arrivals) {
      const before = known.get(entry.id)
      if (before?.seq !== undefined) {
        if (before.layer === 1 || before.bundledIn !== undefined || entry.bundledIn === undefined) continue
        const carried = { ...before, bundledIn: entry.bundledIn }
        writes.push(put(entries, entry.id, carried))
        writes.push(put(postings, postingKey(lists.bundledIn(entry.bundledIn), before.seq), entry.id))
        known.set(entry.id, carried)
        continue
      }
      const placed = { ...entry, seq: place.nextSeq++ }
      writes.push(put(entries, entry.id, placed), put(dataOf, entry.id, data))
      for (const list of listsOf(entry)) writes.push(put(postings, postingKey(list, placed.seq), entry.id))
      known.set(entry.id, placed)
      this.#arrivals.add(1, { layer: String(entry.layer) })
    }
  }

  async #complete(waiting: Entry, data: Uint8Array, inside: readonly UnpackedItem[]): Promise<void> {
    if (waiting.seq !== undefined) return
    const writes: Write[] = [...(await this.#chunks.settle(waiting))]
    const place = this.#place()
    await this.#arrive([{ entry: waiting, data }, ...inside], place, writes)
    await this.#commit(writes, place)
  }

  async #completeWaiting(ids: readonly Id[]): Promise<void> {
    for (const id of ids) {
      const entry = await this.#store.tables.entries.get(id)
      const data = entry === undefined || entry.seq !== undefined ? undefined : await this.#chunks.assemble(entry)
      if (entry === undefined || data === undefined) continue
      const inside = await this.#open(entry, data)
      await this.#lane.run(async () => {
        const now = await this.#store.tables.entries.get(id)
        if (now !== undefined) await this.#complete(now, data, inside)
      })
    }
  }

  async #hasData(root: string, size: number): Promise<boolean> {
    const list = lists.dataRoot(root, size)
    const found = await this.#store.tables.postings.keys({ gte: `${list}:`, lt: `${list};`, limit: 1 }).all()
    return found.length > 0
  }
}

const unknownRoot = (dataRoot: string): AoError =>
  new AoError(
    'INVALID_ARGUMENT',
    'data_root_not_found',
    { dataRoot },
    { hint: 'Post the transaction first, then its chunks.' },
  )

import { AoError } from '../lib/errors.ts'
import type { Chain } from './chain.ts'
import { holdingsAt } from './holdings.ts'
import { intersectionOf, postingStream, type SeqStream, unionOf } from './postings.ts'
import type { Entry, Wallet } from './records.ts'
import { lists, postingKey } from './search-keys.ts'
import { numberKey, type Store } from './store.ts'
import { emptyWallet } from './wallets.ts'

export interface TagFilter {
  readonly name: string
  readonly values: readonly string[]
  readonly op: 'EQ' | 'NEQ'
}

/** Empty lists ask for nothing, as gateways read them. */
export interface Search {
  readonly ids: readonly string[]
  readonly owners: readonly string[]
  readonly recipients: readonly string[]
  readonly bundledIn: readonly string[]
  readonly tags: readonly TagFilter[]
  /** Heights, inclusive; with either bound, pending entries do not match. */
  readonly minHeight?: number | undefined
  readonly maxHeight?: number | undefined
  readonly descending: boolean
  /** `seq` of the last entry of the page before. */
  readonly after?: number | undefined
  readonly limit: number
}

/** Entries looked at before a search that finds too little gives up. */
const maxScanned = 200_000
const batchSize = 100

/** What the devnet knows. */
export class Catalog {
  readonly #store: Store
  readonly #chain: Chain

  constructor(store: Store, chain: Chain) {
    this.#store = store
    this.#chain = chain
  }

  entry(id: string): Promise<Entry | undefined> {
    return this.#store.tables.entries.get(id)
  }

  /** Undefined for an unknown id, and while chunks are missing. */
  data(id: string): Promise<Uint8Array | undefined> {
    return this.#store.tables.data.get(id)
  }

  async wallet(address: string): Promise<Wallet> {
    return (await this.#store.tables.wallets.get(address)) ?? emptyWallet
  }

  /** Who held how much as of a block, a page of it. */
  holdings(at: Parameters<typeof holdingsAt>[1]): ReturnType<typeof holdingsAt> {
    return holdingsAt(this.#store.tables, at)
  }

  /** The transaction whose data holds this byte of the weave, counted from 1. */
  async atOffset(offset: number): Promise<Entry | undefined> {
    const [id] = await this.#store.tables.weave.values({ gte: numberKey(offset), limit: 1 }).all()
    return id === undefined ? undefined : this.entry(id)
  }

  /** One page in order. @throws AoError `TOO_LARGE` if the filters leave too much to look through. */
  async search(search: Search): Promise<{ entries: readonly Entry[]; hasNext: boolean }> {
    const range = await this.#range(search)
    if (range === undefined) return { entries: [], hasNext: false }
    const wanted = search.limit + 1
    const found = search.ids.length > 0 ? await this.#byIds(search, range) : await this.#scan(search, range, wanted)
    return { entries: found.slice(0, search.limit), hasNext: found.length > search.limit }
  }

  async #byIds(search: Search, range: Range): Promise<readonly Entry[]> {
    const found = await this.#store.tables.entries.getMany([...new Set(search.ids)])
    const entries = found.filter(entry => entry !== undefined)
    // A transaction that waits for chunks has no place yet: it stands with the newest.
    const order = (entry: Entry): number => entry.seq ?? Number.MAX_SAFE_INTEGER
    return entries
      .filter(entry => order(entry) >= range.from && order(entry) <= range.to && matches(entry, search))
      .sort((a, b) => (search.descending ? order(b) - order(a) : order(a) - order(b)))
  }

  async #scan(search: Search, range: Range, wanted: number): Promise<readonly Entry[]> {
    const stream = this.#stream(search)
    const found: Entry[] = []
    let scanned = 0
    try {
      for await (const seqs of batches(stream, range, search.descending)) {
        if (scanned >= maxScanned) throw tooBroad()
        scanned += seqs.length
        for (const entry of await this.#at(seqs)) if (matches(entry, search)) found.push(entry)
        if (found.length >= wanted) break
      }
    } finally {
      await stream.close()
    }
    return found
  }

  async #at(seqs: readonly number[]): Promise<readonly Entry[]> {
    const ids = await this.#store.tables.postings.getMany(seqs.map(seq => postingKey(lists.all, seq)))
    const entries = await this.#store.tables.entries.getMany(ids.filter(id => id !== undefined))
    return entries.filter(entry => entry !== undefined)
  }

  /** Candidates from the indexes: all that the search can use, side by side. */
  #stream(search: Search): SeqStream {
    const { descending } = search
    const any = (names: readonly string[]): SeqStream =>
      unionOf(
        [...new Set(names)].map(name => postingStream(this.#store.tables.postings, name, descending)),
        descending,
      )
    const streams = [
      ...(search.owners.length > 0 ? [any(search.owners.map(lists.owner))] : []),
      ...(search.recipients.length > 0 ? [any(search.recipients.map(lists.recipient))] : []),
      ...(search.bundledIn.length > 0 ? [any(search.bundledIn.map(lists.bundledIn))] : []),
      ...search.tags
        .filter(({ op, values }) => op === 'EQ' && values.length > 0)
        .map(({ name, values }) => any(values.map(value => lists.tag(name, value)))),
    ]
    return intersectionOf(streams.length > 0 ? streams : [any([lists.all])])
  }

  /** The `seq`s that cursor and heights leave; undefined for none. */
  async #range({ minHeight, maxHeight, after, descending }: Search): Promise<Range | undefined> {
    const { head } = this.#chain
    let from = 0
    let to = Number.MAX_SAFE_INTEGER
    if (minHeight !== undefined || maxHeight !== undefined) {
      const top = await this.#chain.blockAt(Math.min(maxHeight ?? head.height, head.height))
      const below = await this.#chain.blockAt((minHeight ?? 0) - 1)
      if (top === undefined || (minHeight ?? 0) > head.height) return undefined
      to = top.lastSeq
      from = below === undefined ? 0 : below.lastSeq + 1
    }
    if (after !== undefined && descending) to = Math.min(to, after - 1)
    if (after !== undefined && !descending) from = Math.max(from, after + 1)
    return from > to ? undefined : { from, to }
  }
}

/** Inclusive. */
interface Range {
  readonly from: number
  readonly to: number
}

/** The stream's places inside the range, a batch at a time, so that their entries are read together. */
async function* batches(stream: SeqStream, { from, to }: Range, descending: boolean): AsyncGenerator<number[]> {
  const [first, last, step] = descending ? [to, from, -1] : [from, to, 1]
  let batch: number[] = []
  for (let next = first; ; ) {
    const seq = await stream.advance(next)
    const inside = seq !== undefined && seq >= from && seq <= to
    if (inside) batch.push(seq)
    if (!inside || seq === last) break
    next = seq + step
    if (batch.length < batchSize) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

/** The whole filter, whatever the index has already seen to. */
function matches(entry: Entry, search: Search): boolean {
  const anyOf = (values: readonly string[], value: string): boolean => values.length === 0 || values.includes(value)
  return (
    anyOf(search.ids, entry.id) &&
    anyOf(search.owners, entry.owner) &&
    anyOf(search.recipients, entry.target) &&
    anyOf(search.bundledIn, entry.bundledIn ?? '') &&
    search.tags.every(filter => matchesTag(entry, filter))
  )
}

function matchesTag(entry: Entry, { name, values, op }: TagFilter): boolean {
  const has = entry.tags.some(tag => tag.name === name && (values.length === 0 || values.includes(tag.value)))
  return op === 'EQ' ? has : !has
}

const tooBroad = (): AoError =>
  new AoError(
    'TOO_LARGE',
    'the query looks through too much',
    { limit: maxScanned },
    { hint: 'Add a tag, an owner, a recipient or a range of heights to the query.' },
  )

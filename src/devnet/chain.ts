import { LRUCache } from 'lru-cache'
import { concat, fromBase64Url, sha384, toBase64Url, utf8 } from '../lib/bytes.ts'
import type { Clock } from '../lib/clock.ts'
import { AoError } from '../lib/errors.ts'
import type { Id } from '../protocol/ids.ts'
import type { Block } from './records.ts'
import { lists, postingKey, seqOf } from './search-keys.ts'
import { numberKey, put, type Store, type Write } from './store.ts'

export interface ChainOptions {
  readonly network: string
  /** Height of the first block. */
  readonly startHeight: number
}

/** Arweave takes an anchor that is at most 50 blocks old; there that is 100 minutes, which holds for fast blocks too. */
const anchorBlocks = 50
const anchorSeconds = 100 * 60

/** Blocks remembered for look-ups. */
const cachedBlocks = 1000

/**
 * Blocks and where things stand in them.
 *
 * Invariant: a block takes everything that has arrived, so the order of arrival is the order of blocks, and
 * the block of an entry follows from its `seq` alone.
 */
export class Chain {
  readonly #store: Store
  readonly #clock: Clock
  readonly #network: string
  readonly #byHeight = new LRUCache<number, Block>({ max: cachedBlocks })
  #head: Block
  #nextSeq: number
  #weaveSize: number

  private constructor(store: Store, clock: Clock, state: { network: string; head: Block; seq: number; weave: number }) {
    this.#store = store
    this.#clock = clock
    this.#network = state.network
    this.#head = state.head
    this.#nextSeq = state.seq
    this.#weaveSize = state.weave
  }

  /** Goes on where the directory left off, or writes the first block. @throws AoError `INVALID_CONFIG` */
  static async load(store: Store, clock: Clock, { network, startHeight }: ChainOptions): Promise<Chain> {
    const { meta, blocks, postings, weave } = store.tables
    const known = await meta.get('network')
    if (known !== undefined && known !== network) throw otherNetwork(known, network)
    const head = (await last(blocks.values({ reverse: true, limit: 1 }))) ?? firstBlock(network, startHeight, clock)
    if (known === undefined) await store.write([put(meta, 'network', network), ...writesOf(store, head)])
    const lastPosting = await last(
      postings.keys({ gte: `${lists.all}:`, lt: `${lists.all};`, reverse: true, limit: 1 }),
    )
    const lastByte = await last(weave.keys({ reverse: true, limit: 1 }))
    return new Chain(store, clock, {
      network,
      head,
      seq: lastPosting === undefined ? 0 : seqOf(lastPosting) + 1,
      weave: lastByte === undefined ? 0 : Number.parseInt(lastByte, 16),
    })
  }

  get network(): string {
    return this.#network
  }
  get head(): Block {
    return this.#head
  }
  /** What the next arrival gets. Only the writer's lane reads and moves these two. */
  get nextSeq(): number {
    return this.#nextSeq
  }
  get weaveSize(): number {
    return this.#weaveSize
  }

  /** Call after the batch that used them is on disk. */
  advance(to: { nextSeq: number; weaveSize: number }): void {
    this.#nextSeq = to.nextSeq
    this.#weaveSize = to.weaveSize
  }

  /**
   * Puts everything that has arrived into a block. Runs in the writer's lane.
   *
   * @param beside what else is written with the block of that height, all or nothing.
   */
  async mine(beside: (height: number) => Promise<readonly Write[]> = async () => []): Promise<Block> {
    const head = this.#head
    const txs = await this.pendingTransactions()
    const block = sealed(this.#network, {
      height: head.height + 1,
      previous: head.hash,
      timestamp: Math.max(head.timestamp, Math.floor(this.#clock.now() / 1000)),
      txs,
      lastSeq: this.#nextSeq - 1,
      weaveSize: this.#weaveSize,
    })
    const seal = block.lastSeq > head.lastSeq
    const { seals } = this.#store.tables
    await this.#store.write([
      ...writesOf(this.#store, block),
      ...(seal ? [put(seals, numberKey(block.lastSeq), numberKey(block.height))] : []),
      ...(await beside(block.height)),
    ])
    this.#head = block
    return block
  }

  /** Transactions that wait for the next block, oldest first. */
  async pendingTransactions(): Promise<readonly Id[]> {
    const { postings } = this.#store.tables
    const from = postingKey(lists.transactions, this.#head.lastSeq + 1)
    const ids = await postings.values({ gte: from, lt: `${lists.transactions};` }).all()
    return ids as Id[]
  }

  async blockAt(height: number): Promise<Block | undefined> {
    if (!Number.isSafeInteger(height) || height < 0 || height > this.#head.height) return undefined
    const known = this.#byHeight.get(height)
    if (known !== undefined) return known
    const block = await this.#store.tables.blocks.get(numberKey(height))
    if (block !== undefined) this.#byHeight.set(height, block)
    return block
  }

  async blockWithHash(hash: string): Promise<Block | undefined> {
    const height = await this.#store.tables.hashes.get(hash)
    return height === undefined ? undefined : this.blockAt(Number.parseInt(height, 16))
  }

  /** The block that holds the arrival number `seq`; undefined while it is pending. */
  async blockOf(seq: number | undefined): Promise<Block | undefined> {
    if (seq === undefined || seq > this.#head.lastSeq) return undefined
    const height = await last(this.#store.tables.seals.values({ gte: numberKey(seq), limit: 1 }))
    return height === undefined ? undefined : this.blockAt(Number.parseInt(height, 16))
  }

  /** 1 in the newest block. */
  confirmations(block: Block): number {
    return this.#head.height - block.height + 1
  }

  /** Blocks from one height to the other, both inclusive. */
  blocks(range: { from: number; to: number; descending: boolean; limit: number }): Promise<Block[]> {
    const { from, to, descending: reverse, limit } = range
    if (to < from) return Promise.resolve([])
    return this.#store.tables.blocks.values({ gte: numberKey(from), lte: numberKey(to), reverse, limit }).all()
  }

  /** Whether a transaction may name this block as its anchor. */
  async isRecent(hash: string): Promise<boolean> {
    const block = await this.blockWithHash(hash)
    if (block === undefined) return false
    const young = Math.floor(this.#clock.now() / 1000) - block.timestamp <= anchorSeconds
    return young || this.#head.height - block.height <= anchorBlocks
  }
}

const last = async <T>(iterator: { all(): Promise<T[]> }): Promise<T | undefined> => (await iterator.all())[0]

const writesOf = (store: Store, block: Block): readonly Write[] => [
  put(store.tables.blocks, numberKey(block.height), block),
  put(store.tables.hashes, block.hash, numberKey(block.height)),
]

const firstBlock = (network: string, height: number, clock: Clock): Block =>
  sealed(network, {
    height,
    previous: '',
    timestamp: Math.floor(clock.now() / 1000),
    txs: [],
    lastSeq: -1,
    weaveSize: 0,
  })

function sealed(network: string, block: Omit<Block, 'hash'>): Block {
  const fields = utf8(
    JSON.stringify([network, block.height, block.timestamp, block.weaveSize, block.lastSeq, block.txs]),
  )
  return { ...block, hash: toBase64Url(sha384(concat(fromBase64Url(block.previous), fields))) }
}

const otherNetwork = (known: string, network: string): AoError =>
  new AoError(
    'INVALID_CONFIG',
    'the data directory belongs to another network',
    { known, network },
    { hint: 'Use another data directory, or the network name that this one was made with.' },
  )

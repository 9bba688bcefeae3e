import { concat } from '../lib/bytes.ts'
import type { Id } from '../protocol/ids.ts'
import type { ProvenChunk } from './chunk-proofs.ts'
import type { NewEntry } from './records.ts'
import { del, numberKey, put, type Tables, type Write } from './store.ts'

/** Chunks of transactions that wait for their data. All writes go through the caller's batch. */
export class ChunkStore {
  readonly #tables: Tables

  constructor(tables: Tables) {
    this.#tables = tables
  }

  /** Makes a transaction wait for its chunks. */
  await(tx: NewEntry): Write {
    return put(this.#tables.waiting, `${prefixOf(tx)}.${tx.id}`, tx.id)
  }

  keep(chunk: ProvenChunk): Write {
    const key = `${prefixOf(chunk)}.${numberKey(chunk.from)}.${numberKey(chunk.to)}`
    return put(this.#tables.chunks, key, chunk.bytes)
  }

  /** Transactions that wait for data of this root and size. */
  async waitingFor(data: DataName): Promise<readonly Id[]> {
    return (await this.#tables.waiting.values(under(prefixOf(data))).all()) as Id[]
  }

  /** Every transaction that waits. */
  async waiting(): Promise<readonly Id[]> {
    return (await this.#tables.waiting.values().all()) as Id[]
  }

  /** The whole data once every byte is there. */
  async assemble(data: DataName): Promise<Uint8Array | undefined> {
    const range = under(prefixOf(data))
    const inOrder: string[] = []
    let at = 0
    for (const key of await this.#tables.chunks.keys(range).all()) {
      const [from, to] = key
        .split('.')
        .slice(-2)
        .map(part => Number.parseInt(part, 16))
      if (from !== at || to === undefined) continue
      inOrder.push(key)
      at = to
    }
    if (at !== data.dataSize) return undefined
    const parts = await this.#tables.chunks.getMany(inOrder)
    return concat(...parts.filter(part => part !== undefined))
  }

  /** Forgets the wait of a transaction, and the chunks, which its data has replaced. */
  async settle(tx: NewEntry): Promise<readonly Write[]> {
    const others = (await this.waitingFor(tx)).filter(id => id !== tx.id)
    const chunks = others.length > 0 ? [] : await this.#tables.chunks.keys(under(prefixOf(tx))).all()
    return [del(this.#tables.waiting, `${prefixOf(tx)}.${tx.id}`), ...chunks.map(key => del(this.#tables.chunks, key))]
  }
}

type DataName = Pick<ProvenChunk, 'dataRoot' | 'dataSize'>

const prefixOf = ({ dataRoot, dataSize }: DataName): string => `${dataRoot}.${numberKey(dataSize)}`
/** Base64url has no dot, so keys of one prefix stand together. */
const under = (prefix: string): { gte: string; lt: string } => ({ gte: `${prefix}.`, lt: `${prefix}/` })

import { mkdir } from 'node:fs/promises'
import { Level } from 'level'
import { AoError } from '../lib/errors.ts'
import type { Block, Entry, Wallet } from './records.ts'

/** One write of a batch; made by `put` and `del` so that key and value fit their table. */
export type Write =
  | { readonly type: 'put'; readonly sublevel: Table<unknown>; readonly key: string; readonly value: unknown }
  | { readonly type: 'del'; readonly sublevel: Table<unknown>; readonly key: string }

export type Table<V> = ReturnType<typeof table<V>>
export type Tables = ReturnType<typeof tablesOf>

export const put = <V>(sublevel: Table<V>, key: string, value: V): Write => ({
  type: 'put',
  sublevel: sublevel as Table<unknown>,
  key,
  value,
})
export const del = <V>(sublevel: Table<V>, key: string): Write => ({
  type: 'del',
  sublevel: sublevel as Table<unknown>,
  key,
})

/** Numbers as keys: 14 hexadecimal digits hold 2^53 and sort as numbers do. */
export const numberKey = (value: number): string => value.toString(16).padStart(14, '0')

/** The devnet's LevelDB directory. Every batch is synced, so what was answered survives `kill -9`. */
export class Store {
  readonly tables: Tables
  readonly #db: Level<string, unknown>

  private constructor(db: Level<string, unknown>) {
    this.#db = db
    this.tables = tablesOf(db)
  }

  /** @throws AoError `STORE_LOCKED` if another program has the directory open, `STORE_CORRUPT` if it cannot be read. */
  static async open(directory: string): Promise<Store> {
    try {
      await mkdir(directory, { recursive: true })
      const db = new Level<string, unknown>(directory)
      await db.open()
      return new Store(db)
    } catch (cause) {
      throw openError(directory, cause)
    }
  }

  /** All or nothing; resolves when on disk. @throws AoError `LOG_WRITE_FAILED` */
  async write(writes: readonly Write[]): Promise<void> {
    try {
      await this.#db.batch([...writes], { sync: true })
    } catch (cause) {
      const hint = 'Check that the disk has space and is writable, then send it again.'
      throw new AoError('LOG_WRITE_FAILED', 'the devnet could not write to its disk', {}, { cause, hint })
    }
  }

  async close(): Promise<void> {
    await this.#db.close()
  }
}

const table = <V>(db: Level<string, unknown>, name: string, valueEncoding: 'json' | 'utf8' | 'buffer') =>
  db.sublevel<string, V>(name, { valueEncoding })

const tablesOf = (db: Level<string, unknown>) => ({
  /** Facts about the directory itself: `network`, `clock-shift`. */
  meta: table<string>(db, 'meta', 'utf8'),
  /** By id. */
  entries: table<Entry>(db, 'entries', 'json'),
  /** Data of entries by id. */
  data: table<Uint8Array>(db, 'data', 'buffer'),
  /** Postings, `search-keys.ts` → id. */
  postings: table<string>(db, 'postings', 'utf8'),
  /** By height. */
  blocks: table<Block>(db, 'blocks', 'json'),
  /** Block hash → height key. */
  hashes: table<string>(db, 'hashes', 'utf8'),
  /** `lastSeq` of each block that has entries → height key. */
  seals: table<string>(db, 'seals', 'utf8'),
  /** By address. */
  wallets: table<Wallet>(db, 'wallets', 'json'),
  /** Bridged assets: asset and address → quantity, decimal. */
  deposits: table<string>(db, 'deposits', 'utf8'),
  /** Resource, address and height key → balance from that block on, decimal. */
  holdings: table<string>(db, 'holdings', 'utf8'),
  /** Resource and address of what has changed since the newest block. */
  touched: table<string>(db, 'touched', 'utf8'),
  /** `weaveEnd` → transaction id. */
  weave: table<string>(db, 'weave', 'utf8'),
  /** Transactions without their data, `chunk-store.ts` → id. */
  waiting: table<string>(db, 'waiting', 'utf8'),
  /** Chunks of those, until all are there. */
  chunks: table<Uint8Array>(db, 'chunks', 'buffer'),
})

function openError(directory: string, cause: unknown): AoError {
  const inner = cause instanceof Error ? cause.cause : undefined
  if (inner instanceof Error && 'code' in inner && inner.code === 'LEVEL_LOCKED') {
    return new AoError(
      'STORE_LOCKED',
      'another program is using the data directory of the devnet',
      { directory },
      { cause, hint: 'Stop the other testnet, or give this one a data directory of its own.' },
    )
  }
  return new AoError(
    'STORE_CORRUPT',
    'the data directory of the devnet cannot be opened',
    { directory },
    { cause, hint: 'Check its permissions and free space; if it is damaged, remove it to begin a new chain.' },
  )
}

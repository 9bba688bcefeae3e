import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import { fromBase64Url, toBase64Url, toUtf8, utf8 } from '../lib/bytes.ts'
import type { EconomySnapshot, EconomyStore } from '../ports/economy-store.ts'
import type { Id } from '../protocol/ids.ts'
import { decoding } from './decoding.ts'
import { idPart, KeySpace } from './keys.ts'
import { put, type Store } from './store.ts'

/** origin → the snapshot, as compressed JSON. */
const rows = new KeySpace('economy')

/** The EconomyStore on disk. */
export class LevelEconomyStore implements EconomyStore {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  async get(origin: Id): Promise<EconomySnapshot | undefined> {
    const row = await this.#store.get(rows.key(idPart(origin)))
    if (row === undefined) return undefined
    return decoding('economy', () => {
      const { last, ...rest } = JSON.parse(toUtf8(brotliDecompressSync(row))) as Omit<EconomySnapshot, 'last'> & {
        last: string
      }
      return { ...rest, last: fromBase64Url(last) }
    })
  }

  async put(origin: Id, { last, ...rest }: EconomySnapshot): Promise<void> {
    const text = JSON.stringify({ ...rest, last: toBase64Url(last) })
    const params = { [constants.BROTLI_PARAM_QUALITY]: 4 }
    await this.#store.write([put(rows.key(idPart(origin)), brotliCompressSync(utf8(text), { params }))])
  }
}

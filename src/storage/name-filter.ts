import { asBuffer } from '../lib/bytes.ts'
import type { KeyRange } from './keys.ts'
import type { Store } from './store.ts'

/** 8 MiB, taken as it fills: of seven million names one look in a hundred is for nothing, beyond that ever more. */
const bits = 2 ** 26
const probes = 4
/** Names that are read in the time of a look: the table is read once looks have cost as much as that will. */
const namesPerLook = 16

/**
 * Which names a table surely does not have: a Bloom filter over its keys, which end in two ids.
 *
 * A name that is not there costs LevelDB a look into each of its files, and after many such looks it merges the files,
 * whether or not anything was written.
 *
 * Invariant: once it is complete it holds every key of the table. Only one writer, who adds each key before it writes.
 */
export class NameFilter {
  readonly #store: Store
  readonly #table: KeyRange
  #words: Int32Array | undefined
  #complete = false
  #reading = false
  #looks = 0

  constructor(store: Store, table: KeyRange) {
    this.#store = store
    this.#table = table
  }

  add(key: Uint8Array): void {
    this.#words ??= new Int32Array(bits / 32)
    const words = this.#words
    for (const place of placesOf(key)) words[place >>> 5] = (words[place >>> 5] ?? 0) | (1 << (place & 31))
  }

  /** What is under these keys, in their order: the table is asked for those alone that it may have. */
  async getMany(
    keys: readonly Uint8Array[],
    size: () => Promise<number>,
  ): Promise<readonly (Uint8Array | undefined)[]> {
    if (!this.#complete) {
      await this.#readOnceItPays(keys.length, size)
      return this.#store.getMany(keys)
    }
    const open = keys.filter(key => this.#mayHold(key))
    if (open.length === 0) return keys.map(() => undefined)
    const found = await this.#store.getMany(open)
    const byKey = new Map(open.map((key, i) => [key, found[i]]))
    return keys.map(key => byKey.get(key))
  }

  /** @param size of the table, more or less. */
  async #readOnceItPays(looks: number, size: () => Promise<number>): Promise<void> {
    this.#looks += looks
    if (this.#reading) return
    const names = await size()
    if (this.#reading || this.#looks * namesPerLook < names) return
    this.#reading = true
    void this.#readAll()
  }

  /** Beside whatever else is written: that is added by whoever writes it. */
  async #readAll(): Promise<void> {
    try {
      for await (const [key] of this.#store.entries(this.#table)) this.add(key)
      this.#complete = true
    } catch {
      this.#looks = 0 // whoever looks meets the reason too; the next time is as good as this one
    } finally {
      this.#reading = false
    }
  }

  #mayHold(key: Uint8Array): boolean {
    const words = this.#words
    return words !== undefined && placesOf(key).every(place => ((words[place >>> 5] ?? 0) & (1 << (place & 31))) !== 0)
  }
}

/** The name is a hash: its first bits serve as they are. Not the Process's same ones, for one name is the Process. */
function placesOf(key: Uint8Array): readonly number[] {
  const bytes = asBuffer(key)
  const [process, name] = [key.length - 64, key.length - 32]
  const first = bytes.readInt32LE(name) ^ bytes.readInt32LE(process + 8)
  const step = bytes.readInt32LE(name + 4) ^ bytes.readInt32LE(process + 12)
  return Array.from({ length: probes }, (_, i) => (first + Math.imul(i, step | 1)) & (bits - 1))
}

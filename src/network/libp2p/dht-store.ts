import { Libp2pRecord } from '@libp2p/record'
import { MemoryDatastore } from 'datastore-core'
import type { Key } from 'interface-datastore'
import { parseStoredItem } from '../../protocol/data-item.ts'
import { parseUnitRecord } from '../../protocol/unit-record.ts'

/** Keys of the DHT's records begin so. */
const recordPrefix = '/dht/record/'

/**
 * The part of the DHT that this node keeps for others, in memory: records live for minutes only.
 *
 * Invariant: at most `maxRecords`; the one longest not renewed goes first. Of a unit's records only a later one takes
 * the place of an earlier, so that a replay achieves nothing: kad-dht itself would keep whatever came last.
 */
export class DhtStore extends MemoryDatastore {
  readonly #maxRecords: number
  /** Longest not renewed first. */
  readonly #order = new Map<string, Key>()

  readonly #issuedAt = new Map<string, number>()

  constructor(maxRecords: number) {
    super()
    this.#maxRecords = maxRecords
  }

  get records(): number {
    return this.#order.size
  }

  override put(key: Key, value: Uint8Array): Key | Promise<Key> {
    const name = key.toString()
    if (name.startsWith(recordPrefix)) {
      if (issuedAt(value) < (this.#issuedAt.get(name) ?? 0)) return key
      this.#issuedAt.set(name, issuedAt(value))
      this.#order.delete(name)
      this.#order.set(name, key)
      const oldest = this.#order.values().next()
      if (this.#order.size > this.#maxRecords && !oldest.done) this.delete(oldest.value)
    }
    return super.put(key, value)
  }

  override delete(key: Key): void | Promise<void> {
    this.#order.delete(key.toString())
    this.#issuedAt.delete(key.toString())
    return super.delete(key)
  }
}

/** Of what has passed the validator. */
const issuedAt = (value: Uint8Array): number =>
  parseUnitRecord(parseStoredItem(Libp2pRecord.deserialize(value).value)).issuedAt

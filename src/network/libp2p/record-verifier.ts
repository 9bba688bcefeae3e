import { LRUCache } from 'lru-cache'
import { sha256, toHex } from '../../lib/bytes.ts'
import type { UnitRecord } from '../../protocol/unit-record.ts'
import { maxRecordBytes, verifyRecord } from './record-rules.ts'

/** Records remembered as good: each comes by gossip, and once more from every neighbour. */
const maxRemembered = 4096

/** Verifies each record once: bytes seen before cost one hash instead of signatures. */
export class RecordVerifier {
  readonly #network: string
  readonly #good = new LRUCache<string, UnitRecord>({ max: maxRemembered })

  /** @param network `paramsHash`: records of other networks are refused. */
  constructor(network: string) {
    this.#network = network
  }

  /** @throws AoError as `verifyRecord` does */
  async verify(bytes: Uint8Array): Promise<UnitRecord> {
    if (bytes.length > maxRecordBytes) return verifyRecord(bytes, this.#network)
    const digest = toHex(sha256(bytes))
    const known = this.#good.get(digest)
    if (known !== undefined) return known
    const record = await verifyRecord(bytes, this.#network)
    this.#good.set(digest, record)
    return record
  }
}

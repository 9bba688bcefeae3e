import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/telemetry.ts'
import type { RecordStore } from '../../ports/record-store.ts'
import type { Address } from '../../protocol/ids.ts'
import type { UnitRecord } from '../../protocol/unit-record.ts'
import { verifyRecord } from './record-rules.ts'

export interface SavedRecordsDeps {
  readonly log: Logger
  readonly clock: Clock
  readonly store: RecordStore
  readonly network: string
  /** Connects to a peer and asks it for its records. */
  reach(peer: string, addresses: readonly string[]): Promise<void>
}

/** Records kept: more peers than a node ever needs to get back in. */
const maxSaved = 256
/** Milliseconds between saves. */
const everyMs = 30_000
/** Older than this a record leads nowhere: a week. */
const maxAgeMs = 7 * 24 * 3_600_000
/** Units dialed at once because somebody waits for them. */
const maxDials = 16

/**
 * The directory on disk, so that a node which starts again does not depend on its bootstrap peers, nor on whom an
 * attacker has put around it since.
 */
export class SavedRecords {
  readonly #deps: SavedRecordsDeps
  #savedAt: number
  #saving: Promise<void> = Promise.resolve()
  #loaded: readonly UnitRecord[] = []
  readonly #dialing = new Set<Address>()

  constructor(deps: SavedRecordsDeps) {
    this.#deps = deps
    this.#savedAt = deps.clock.now()
  }

  /** What was known before the restart. Most of it has expired: its addresses are worth a dial, no more. */
  get records(): readonly UnitRecord[] {
    return this.#loaded
  }

  /** What cannot be read or verified is left out. */
  async load(): Promise<void> {
    const { store, network, clock, log } = this.#deps
    const verified = await Promise.allSettled(
      (await store.load()).slice(0, maxSaved).map(bytes => verifyRecord(bytes, network)),
    )
    const records = verified.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
    this.#loaded = records.filter(({ issuedAt }) => clock.now() - issuedAt < maxAgeMs)
    log.info('directory-loaded', { records: this.#loaded.length, unusable: verified.length - this.#loaded.length })
  }

  /** Asks a unit that was known before the restart where it was then. Returns at once. */
  reach(address: Address): void {
    const record = this.#loaded.find(one => one.address === address)
    if (record === undefined || this.#dialing.has(address) || this.#dialing.size >= maxDials) return
    this.#dialing.add(address)
    this.#deps
      .reach(record.peer, record.multiaddrs)
      .catch((error: unknown) => this.#deps.log.debug('saved-unit-unreachable', { address, reason: String(error) }))
      .finally(() => this.#dialing.delete(address))
  }

  /** Saves what is known now, if it is time. @param records Best first. */
  tick(records: () => readonly UnitRecord[]): void {
    const now = this.#deps.clock.now()
    if (now - this.#savedAt < everyMs) return
    this.#savedAt = now
    void this.save(records())
  }

  /** Others that were known before keep their place behind those known now. */
  save(records: readonly UnitRecord[]): Promise<void> {
    const known = new Set(records.map(({ address }) => address))
    const rows = [...records, ...this.#loaded.filter(({ address }) => !known.has(address))].slice(0, maxSaved)
    this.#saving = this.#saving
      .then(() => this.#deps.store.save(rows.map(({ raw }) => raw)))
      .catch((error: unknown) => this.#deps.log.warn('directory-not-saved', { reason: String(error) }))
    return this.#saving
  }
}

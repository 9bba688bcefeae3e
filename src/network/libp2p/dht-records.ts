import { type AbortOptions, withDeadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { AoError } from '../../lib/errors.ts'
import { SingleFlight } from '../../lib/single-flight.ts'
import type { Counter, Telemetry } from '../../lib/telemetry.ts'
import type { Address } from '../../protocol/ids.ts'
import type { UnitRecord } from '../../protocol/unit-record.ts'
import { dhtKey } from './dht.ts'
import type { Libp2pHost } from './host.ts'

export interface DhtRecordsDeps extends Telemetry {
  readonly clock: Clock
  readonly host: Libp2pHost
  /** Takes the signed bytes that the DHT gave. */
  take(bytes: Uint8Array): Promise<void>
}

/** Milliseconds for one look into the DHT, whose liars invent peers to be tried first, and for one publication. */
const lookupMs = 20_000
const publishMs = 15_000
/** Looks under way at once; above it who asks must wait for gossip. */
const maxLookups = 64
/** From one look for a unit to the next, in milliseconds. */
const pauseMs = 3_000
const maxPauses = 1024
/** So many peers that hold the own record are enough to leave it there until it is due again. */
const enoughHolders = 4
/** Milliseconds until the next try when fewer do. */
const againMs = 2_000

interface PutEvent {
  readonly name: string
  readonly messageName?: string
  readonly from?: unknown
}

/** Unit records in the DHT: each unit lays its own under its address, where whoever knows the address finds it. */
export class DhtRecords {
  readonly #deps: DhtRecordsDeps
  readonly #lookups = new SingleFlight<Address, void>()
  readonly #lookedAt = new Map<Address, number>()
  readonly #running = new Set<Promise<void>>()
  readonly #outcomes: Counter
  #stopping = new AbortController()
  #publishing = false
  #dueAt = 0

  constructor(deps: DhtRecordsDeps) {
    this.#deps = deps
    const { metrics } = deps
    this.#outcomes = metrics.counter('aonet_network_dht_total', 'Looks into the DHT and publications', ['outcome'])
    metrics.gauge('aonet_network_dht_lookups', 'Units being looked for in the DHT', () => this.#lookups.size)
  }

  /** Looks for a unit, unless that is under way or was done just now. What it finds goes to `take`. */
  look(address: Address): void {
    const { clock, host } = this.#deps
    if (host.dht === undefined) return
    const last = this.#lookedAt.get(address) ?? Number.NEGATIVE_INFINITY
    if (clock.now() - last < pauseMs || this.#lookups.size >= maxLookups) return
    this.#lookedAt.delete(address)
    this.#lookedAt.set(address, clock.now())
    const oldest = this.#lookedAt.keys().next()
    if (this.#lookedAt.size > maxPauses && !oldest.done) this.#lookedAt.delete(oldest.value)
    this.#run(this.#lookups.run(address, () => this.#look(address)))
  }

  /** Lays the own record there when it is due. To be called often; returns at once. */
  tick(record: () => UnitRecord | undefined, everyMs: number): void {
    const { clock, host } = this.#deps
    if (host.dht === undefined || host.peers.size === 0 || this.#publishing || clock.now() < this.#dueAt) return
    const own = record()
    if (own === undefined) return
    this.#publishing = true
    const publication = this.#publish(own).then(laid => {
      // Too few hold it while the table of peers is still filling: soon once more.
      this.#dueAt = clock.now() + (laid >= Math.min(enoughHolders, host.peers.size) ? everyMs : againMs)
    })
    this.#run(
      publication.finally(() => {
        this.#publishing = false
      }),
    )
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new AoError('STOPPING', 'the directory is shutting down'))
    await Promise.allSettled(this.#running)
    this.#stopping = new AbortController()
    this.#dueAt = 0
  }

  async #look(address: Address): Promise<void> {
    const events = this.#deps.host.dht?.get(dhtKey(address), this.#within(lookupMs)) ?? []
    for await (const event of events) {
      if (event.name !== 'VALUE') continue
      await this.#deps.take(event.value)
      this.#outcomes.add(1, { outcome: 'found' })
      return
    }
    this.#outcomes.add(1, { outcome: 'not-found' })
  }

  /** How many others hold it now. */
  async #publish(record: UnitRecord): Promise<number> {
    const events = this.#deps.host.dht?.put(dhtKey(record.address), record.raw, this.#within(publishMs)) ?? []
    const holders = new Set<string>()
    for await (const event of events as AsyncIterable<PutEvent>) {
      if (event.name === 'PEER_RESPONSE' && event.messageName === 'PUT_VALUE') holders.add(String(event.from))
    }
    this.#outcomes.add(1, { outcome: holders.size > 0 ? 'published' : 'unpublished' })
    return holders.size
  }

  #within(ms: number): AbortOptions & { signal: AbortSignal } {
    return { signal: withDeadline(ms, { signal: this.#stopping.signal }) }
  }

  #run(work: Promise<void>): void {
    const running = work
      .catch((error: unknown) => {
        this.#outcomes.add(1, { outcome: 'failed' })
        this.#deps.log.debug('dht-failed', { reason: String(error) })
      })
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }
}

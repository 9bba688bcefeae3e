import { LRUCache } from 'lru-cache'
import { type AbortOptions, raceSignal, withDeadline } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import { SingleFlight } from '../../lib/single-flight.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { ForeignScheduler, ForeignUnits } from '../../ports/foreign.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { Address, Id } from '../../protocol/ids.ts'
import { type Tag, tagsOf, tagValue } from '../../protocol/tags.ts'

export interface ForeignSchedulersDeps {
  readonly arweave: Pick<ArweaveClient, 'signedBy' | 'item' | 'transaction'>
  readonly units: ForeignUnits
  /** Hash of this network's parameters: an SU that names it in its location is a peer, and found as one. */
  readonly network: string
  readonly clock: Clock
  readonly telemetry: Telemetry
}
export interface ForeignSchedulersOptions {
  readonly maxKept: number
  /** Looked for at once. */
  readonly maxLookups: number
  readonly lookupTimeoutMs: number
  /** A location is kept as long as its `Time-To-Live` says, within these bounds, in milliseconds. */
  readonly leastKeptMs: number
  readonly mostKeptMs: number
  /** How long it is kept that there is none, or none that can be used, and one where nobody answers. */
  readonly doubtfulKeptMs: number
}
export const defaultForeignSchedulersOptions: ForeignSchedulersOptions = {
  maxKept: 10_000,
  maxLookups: 100,
  lookupTimeoutMs: 5_000,
  leastKeptMs: 5_000,
  mostKeptMs: 24 * 60 * 60_000,
  doubtfulKeptMs: 10_000,
}

interface Kept {
  readonly found: ForeignScheduler | AoError | undefined
  /** Milliseconds since the Unix epoch. */
  readonly until: number
}

/** Finds SUs of other networks by the newest Scheduler-Location that they have on Arweave. */
export class ForeignSchedulers {
  readonly #deps: ForeignSchedulersDeps
  readonly #options: ForeignSchedulersOptions
  readonly #kept: LRUCache<Address, Kept>
  readonly #lookups = new SingleFlight<Address, Kept>()

  constructor(deps: ForeignSchedulersDeps, options = defaultForeignSchedulersOptions) {
    this.#deps = deps
    this.#options = options
    this.#kept = new LRUCache({ max: options.maxKept })
  }

  /** As far as it is known now. */
  known(address: Address): ForeignScheduler | undefined {
    const found = this.#current(address)?.found
    return found instanceof AoError ? undefined : found
  }

  /**
   * Undefined if it has published nothing, or is of this network.
   *
   * @throws AoError `NOT_ALLOWED` if it is somewhere this node does not go; `OVERLOADED`; what Arweave's gateway answers.
   */
  async find(address: Address, options: AbortOptions = {}): Promise<ForeignScheduler | undefined> {
    const { found } = this.#current(address) ?? (await this.#lookUp(address, options))
    if (found instanceof AoError) throw found
    return found
  }

  #lookUp(address: Address, options: AbortOptions): Promise<Kept> {
    const { maxLookups } = this.#options
    if (this.#lookups.size >= maxLookups) {
      throw new AoError('OVERLOADED', 'too many schedulers are being looked for', { lookups: maxLookups })
    }
    const looking = this.#lookups.run(address, () => this.#look(address))
    return raceSignal(looking, options)
  }

  #current(address: Address): Kept | undefined {
    const kept = this.#kept.get(address)
    return kept !== undefined && kept.until > this.#deps.clock.now() ? kept : undefined
  }

  async #look(address: Address): Promise<Kept> {
    const signal = withDeadline(this.#options.lookupTimeoutMs)
    const tags = await this.#location(address, { signal })
    const kept = this.#judge(address, tags)
    this.#kept.set(address, kept)
    return kept
  }

  /** The tags of its newest location, the signature checked. */
  async #location(address: Address, options: AbortOptions): Promise<readonly Tag[]> {
    const { arweave } = this.#deps
    const [newest] = await arweave.signedBy(address, locationTags, { ...options, limit: 1 })
    if (newest === undefined) return []
    const signed = await this.#signed(newest.id, options)
    return signed?.owner === address ? signed.tags : []
  }

  async #signed(id: Id, options: AbortOptions): Promise<{ owner: Address; tags: readonly Tag[] } | undefined> {
    const { arweave } = this.#deps
    try {
      return await arweave.item(id, options)
    } catch (error) {
      if (!hasCode(error, 'INVALID_DATA_ITEM')) throw error
      return arweave.transaction(id, options) // not in a bundle, or not what it is said to be: then this throws
    }
  }

  #judge(address: Address, tags: readonly Tag[]): Kept {
    const { clock, units, network, telemetry } = this.#deps
    const { doubtfulKeptMs } = this.#options
    const url = loose(tags, 'Url')
    if (url === undefined || tagValue(tags, 'Network') === network) {
      return { found: undefined, until: clock.now() + doubtfulKeptMs }
    }
    try {
      const found = units.scheduler({ address, url, onUnreachable: () => this.#doubt(address) })
      telemetry.log.debug('foreign-scheduler-found', { scheduler: address, url: found.url })
      return { found, until: clock.now() + this.#keptMs(tags) }
    } catch (error) {
      return { found: AoError.from(error), until: clock.now() + doubtfulKeptMs }
    }
  }

  #keptMs(tags: readonly Tag[]): number {
    const { leastKeptMs, mostKeptMs } = this.#options
    const timeToLive = loose(tags, 'Time-To-Live') ?? ''
    if (!/^[0-9]{1,15}$/.test(timeToLive)) return leastKeptMs
    return Math.min(Math.max(Number(timeToLive), leastKeptMs), mostKeptMs)
  }

  /** It is looked for again soon: it may have moved. */
  #doubt(address: Address): void {
    const kept = this.#kept.peek(address)
    const until = this.#deps.clock.now() + this.#options.doubtfulKeptMs
    if (kept !== undefined && kept.until > until) this.#kept.set(address, { ...kept, until })
  }
}

const locationTags = tagsOf(['Data-Protocol', 'ao'], ['Type', 'Scheduler-Location'])

/** Readers of these tags do not tell capitals from small letters. */
const loose = (tags: readonly Tag[], name: string): string | undefined =>
  tags.find(tag => tag.name.toLowerCase() === name.toLowerCase())?.value

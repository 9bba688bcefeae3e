import { LRUCache } from 'lru-cache'
import { type AbortOptions, raceSignal, throwIfAborted, withDeadline } from '../../lib/abort.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import { SingleFlight } from '../../lib/single-flight.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { ForeignScheduler } from '../../ports/foreign.ts'
import type { HostTable } from '../../ports/hosts.ts'
import type { RouteStore } from '../../ports/route-store.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { Scheduler } from '../../ports/units.ts'
import { type DataItem, verifyDataItem } from '../../protocol/data-item.ts'
import type { Address, Id, ProcessId } from '../../protocol/ids.ts'
import { type ProcessSpec, parseAoItem } from '../../protocol/message.ts'
import type { UnitRecord } from '../../protocol/unit-record.ts'
import { failureFacts } from '../failure.ts'
import { Schedulers, type SchedulersDeps } from './schedulers.ts'

/** A Process as its own signed item says it is. */
export interface ProcessRoute {
  readonly item: DataItem
  readonly spec: ProcessSpec
}

export interface RoutesDeps extends SchedulersDeps {
  readonly store: RouteStore
  readonly arweave: ArweaveClient
  readonly telemetry: Telemetry
  /** AO-Sec Origin's host table, asked before the `Scheduler` tag; undefined: the tag alone decides. */
  readonly hosts?: HostTable | undefined
}
export interface RoutesOptions {
  /** Routes kept in memory; all met are on disk. */
  readonly maxCached: number
  /** Processes looked for at once. */
  readonly maxLookups: number
  /** Schedulers asked side by side. */
  readonly askAtOnce: number
  /** For each source of a lookup. */
  readonly lookupTimeoutMs: number
  /** How long a scheduler that is named but not known yet may take to show up. */
  readonly schedulerTimeoutMs: number
}
export const defaultRoutesOptions: RoutesOptions = {
  maxCached: 10_000,
  maxLookups: 1_000,
  askAtOnce: 8,
  lookupTimeoutMs: 5_000,
  schedulerTimeoutMs: 3_000,
}

/**
 * Process → its item, and Process → its Scheduler. Sources, in order: own store, own SU, the network's SUs, Arweave.
 *
 * Invariant: a route comes from an item whose signature, id and tags were checked here, whoever gave it.
 */
export class Routes {
  readonly #deps: RoutesDeps
  readonly #options: RoutesOptions
  readonly #schedulers: Schedulers
  readonly #known: LRUCache<ProcessId, ProcessRoute>
  readonly #lookups = new SingleFlight<ProcessId, ProcessRoute>()

  constructor(deps: RoutesDeps, options: RoutesOptions = defaultRoutesOptions) {
    this.#deps = deps
    this.#options = options
    this.#schedulers = new Schedulers(deps, options.schedulerTimeoutMs)
    this.#known = new LRUCache({ max: options.maxCached })
  }

  /**
   * @throws AoError `UNKNOWN_PROCESS`, whose fact `unanswered` counts the sources that failed to answer: with 0 nobody
   * knows it. `OVERLOADED` when too many lookups run.
   */
  async process(id: ProcessId, { signal }: AbortOptions = {}): Promise<ProcessRoute> {
    throwIfAborted(signal)
    const known = this.#known.get(id)
    if (known !== undefined) return known
    if (this.#lookups.size >= this.#options.maxLookups) {
      throw new AoError('OVERLOADED', 'too many Processes are being looked for', { lookups: this.#lookups.size })
    }
    return raceSignal(
      this.#lookups.run(id, () => this.#find(id)),
      { signal },
    )
  }

  /** What this node knows by itself. @throws AoError `UNKNOWN_PROCESS` */
  async held(id: ProcessId): Promise<ProcessRoute> {
    const found = this.#known.get(id) ?? (await this.#stored(id)) ?? (await this.#askLocal(id))
    if (found === undefined)
      throw new AoError('UNKNOWN_PROCESS', 'this node does not hold the Process', { process: id })
    return found
  }

  /**
   * Where to read the Process's schedule: at its host, or, while nobody hosts it, where it was.
   *
   * @throws AoError `UNKNOWN_PROCESS` | `PEER_UNREACHABLE`
   */
  async scheduler(id: ProcessId, options: AbortOptions = {}): Promise<Scheduler> {
    const { spec } = await this.process(id, options)
    return this.schedulerAt(this.readerOf(id, spec), options)
  }

  /** Who shows the schedule: the host, or, while nobody hosts the Process, who did last. */
  readerOf(id: ProcessId, { scheduler }: ProcessSpec): Address {
    const { hosts } = this.#deps
    return hosts?.hostOf(id, scheduler)?.scheduler ?? hosts?.epochsOf(id, scheduler).at(-1)?.scheduler ?? scheduler
  }

  /**
   * Who may order messages of the Process now: by the host table, else the one that its `Scheduler` tag names.
   *
   * @throws AoError `NOT_READY` while nobody may.
   */
  hostOf(id: ProcessId, { scheduler }: ProcessSpec): Address {
    const { hosts } = this.#deps
    const host = hosts === undefined ? { scheduler } : hosts.hostOf(id, scheduler)
    if (host !== undefined) return host.scheduler
    throw new AoError(
      'NOT_READY',
      'the Process has no host: its SU was found guilty',
      { process: id, scheduler },
      { hint: 'Wait until another SU has taken it over (Host-Bid at AO-Sec Origin).' },
    )
  }

  /** @throws AoError `PEER_UNREACHABLE` if nobody with that address offers scheduling. */
  schedulerAt(address: Address, options: AbortOptions = {}): Promise<Scheduler> {
    return this.#schedulers.at(address, options)
  }

  /** The SU that hosts the Process, if it is of another network. @throws AoError as `process`, `hostOf`, `schedulerAt`. */
  async foreign(id: ProcessId, options: AbortOptions = {}): Promise<ForeignScheduler | undefined> {
    const { spec } = await this.process(id, options)
    return this.#schedulers.foreignAt(this.hostOf(id, spec), options)
  }

  /** The SU with that address, if it is of another network. @throws AoError as `schedulerAt`. */
  foreignAt(address: Address, options: AbortOptions = {}): Promise<ForeignScheduler | undefined> {
    return this.#schedulers.foreignAt(address, options)
  }

  /** Keeps a verified Process item that has just been met, so that nobody needs to look for it. */
  async remember(item: DataItem): Promise<void> {
    const ao = parseAoItem(item)
    if (ao.type === 'Process') await this.#keep(ao.process, { item, spec: ao.spec })
  }

  async #find(id: ProcessId): Promise<ProcessRoute> {
    const stored = await this.#stored(id)
    if (stored !== undefined) return stored
    let unanswered = 0
    for (const ask of [this.#askLocal, this.#askSchedulers, this.#askArweave]) {
      try {
        const route = await ask(id)
        if (route !== undefined) return await this.#keep(id, route)
      } catch (error) {
        unanswered++
        this.#deps.telemetry.log.debug('lookup-unanswered', { process: id, ...failureFacts(error) })
      }
    }
    throw new AoError(
      'UNKNOWN_PROCESS',
      'no scheduler and no gateway knows this Process',
      { process: id, unanswered },
      { hint: 'Check the id; a Process spawned a moment ago, or by a scheduler not reached yet, may still appear.' },
    )
  }

  async #stored(id: ProcessId): Promise<ProcessRoute | undefined> {
    const item = await this.#deps.store.get(id)
    if (item === undefined) return undefined
    const route = routeOf(id, item)
    this.#known.set(id, route)
    return route
  }

  readonly #askLocal = async (id: ProcessId): Promise<ProcessRoute | undefined> => {
    const { scheduler } = this.#deps.local
    return scheduler === undefined ? undefined : orUnknown(scheduler.process(id).then(item => routeOf(id, item)))
  }

  readonly #askSchedulers = async (id: ProcessId): Promise<ProcessRoute | undefined> => {
    const { directory, local } = this.#deps
    const others = directory.find('SU').filter(({ address }) => address !== local.address)
    let failure: unknown
    for (let i = 0; i < others.length; i += this.#options.askAtOnce) {
      const asked = others.slice(i, i + this.#options.askAtOnce)
      const answers = await Promise.allSettled(asked.map(record => this.#askOne(id, record)))
      for (const answer of answers) {
        if (answer.status === 'rejected') failure = answer.reason
        else if (answer.value !== undefined) return answer.value
      }
    }
    if (failure !== undefined) throw failure
    return undefined
  }

  async #askOne(id: ProcessId, record: UnitRecord): Promise<ProcessRoute | undefined> {
    const { remote } = this.#deps
    const signal = withDeadline(this.#options.lookupTimeoutMs)
    const item = await orUnknown(raceSignal(remote.scheduler(record).process(id, { signal, here: true }), { signal }))
    return item === undefined ? undefined : verifiedRoute(id, item)
  }

  readonly #askArweave = async (id: ProcessId): Promise<ProcessRoute | undefined> => {
    const signal = withDeadline(this.#options.lookupTimeoutMs)
    const item = await raceSignal(this.#deps.arweave.item(id, { signal }), { signal })
    // An item that is there but is no Process is an answer: this id is none.
    return item === undefined ? undefined : orUnknown(verifiedRoute(id, item), 'INVALID_DATA_ITEM')
  }

  async #keep(id: ProcessId, route: ProcessRoute): Promise<ProcessRoute> {
    this.#known.set(id, route)
    try {
      await this.#deps.store.put(route.item)
    } catch (error) {
      this.#deps.telemetry.log.warn('route-not-stored', { process: id, ...failureFacts(error) }) // found again next time
    }
    return route
  }
}

/** @throws AoError `INVALID_DATA_ITEM` unless the bytes are the signed Process item of that id. */
const verifiedRoute = async (id: ProcessId, item: DataItem): Promise<ProcessRoute> =>
  routeOf(id, await verifyDataItem(item.raw, { maxBytes: item.raw.length }))

function routeOf(id: ProcessId, item: DataItem): ProcessRoute {
  const ao = parseAoItem(item)
  if ((item.id as Id) !== (id as Id) || ao.type !== 'Process') {
    throw new AoError('INVALID_DATA_ITEM', 'the item is not the Process asked for', { process: id, id: item.id })
  }
  return { item, spec: ao.spec }
}

async function orUnknown<T>(answer: Promise<T>, ...codes: readonly 'INVALID_DATA_ITEM'[]): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (hasCode(error, 'UNKNOWN_PROCESS', ...codes)) return undefined
    throw error
  }
}

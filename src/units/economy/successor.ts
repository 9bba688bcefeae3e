import { LRUCache } from 'lru-cache'
import { forkKey } from '../../economy/hosts.ts'
import type { ForkRow, HostRow } from '../../economy/rows.ts'
import type { EconomyState } from '../../economy/state.ts'
import type { AbortOptions } from '../../lib/abort.ts'
import { toBase64Url } from '../../lib/bytes.ts'
import type { Component } from '../../lib/component.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import { packBundle } from '../../protocol/bundle.ts'
import { type DataItem, parseStoredItem } from '../../protocol/data-item.ts'
import type { Address, Id, ProcessId } from '../../protocol/ids.ts'
import { tagsOf } from '../../protocol/tags.ts'
import { failureFacts } from '../failure.ts'
import { Loop } from '../loop.ts'
import type { Routes } from '../routing/route.ts'
import type { SchedulerUnit } from '../scheduler/scheduler.ts'
import type { EconomyFollower } from './follower.ts'
import type { LogCollector } from './log-collector.ts'
import type { FoundRow } from './log-tree.ts'
import type { OriginMail } from './origin-mail.ts'
import type { Orphans } from './orphans.ts'
import { type ReadItem, shownMessage } from './shown-message.ts'

export interface SuccessorDeps {
  /** This SU's own. */
  readonly address: Address
  readonly origin: ProcessId
  readonly economy: Pick<EconomyFollower, 'state' | 'standing' | 'hostOf' | 'epochsOf' | 'waiting'>
  readonly scheduler: Pick<SchedulerUnit, 'adopt' | 'schedule' | 'tail' | 'holds'>
  readonly routes: Pick<Routes, 'process'>
  readonly orphans: Orphans
  readonly collector: LogCollector
  readonly mail: OriginMail
  readonly item: ReadItem
  readonly telemetry: Telemetry
}
export interface SuccessorOptions {
  readonly pollMs: number
  /** Whether to bid; what this SU was given it carries on in any case. */
  readonly bids: boolean
  /** Processes bid for at one time: each locks a bond, and its log is held in memory while it is collected. */
  readonly maxBids: number
}
export const defaultSuccessorOptions: SuccessorOptions = { pollMs: 1000, bids: true, maxBids: 16 }

/** Blocks after which what was said and did not show is said again. */
const rebidBlocks = 10

/**
 * Carries on the Processes of others: bids for those without a host, and once it is their host brings their log to its
 * own disk, up to where its turn begins. What was ordered beyond that, and counts no more, it orders anew.
 */
export class Successor implements Component {
  readonly name = 'successor'
  readonly #deps: SuccessorDeps
  readonly #options: SuccessorOptions
  readonly #loop: Loop
  readonly #bidAt = new Map<ProcessId, number>()
  readonly #saidAt = new Map<ProcessId, number>()
  readonly #carried = new Map<ProcessId, number>()
  /** Messages of queues that are ordered. One that is asked for again keeps its place. */
  readonly #ordered = new LRUCache<string, true>({ max: 10_000 })

  constructor(deps: SuccessorDeps, options: SuccessorOptions = defaultSuccessorOptions) {
    this.#deps = deps
    this.#options = options
    this.#loop = Loop.every(options.pollMs, abort => this.tick(abort), deps.telemetry.log, this.name)
    deps.telemetry.metrics.gauge(
      'aonet_successor_carried',
      'Processes taken over from others',
      () => this.#carried.size,
    )
  }

  start(): Promise<void> {
    return this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /** One round: carries on what is this SU's now, then bids for what is nobody's. */
  async tick(options: AbortOptions = {}): Promise<void> {
    const { economy, origin } = this.#deps
    const { state } = economy
    if (state === undefined) return
    const own = ownOf(state, this.#deps.address)
    await this.#each([origin, ...own], process => this.#carryOn(process, options))
    await this.#each(own, process => this.#orderQueued(process, options))
    await this.#orderWaiting(options)
    if (!this.#options.bids || economy.standing('SU', this.#deps.address) !== 'active') return
    const orphans = [...(await this.#deps.orphans.find(state, options))].filter(process => process !== origin)
    const wanted = orphans.filter(process => this.#mayBid(state, process)).slice(0, this.#options.maxBids)
    await this.#each(wanted, process => this.#bid(state, process, options))
  }

  /** One that fails does not keep the others waiting. */
  async #each(processes: readonly ProcessId[], work: (process: ProcessId) => Promise<void>): Promise<void> {
    for (const process of processes) {
      try {
        await work(process)
      } catch (error) {
        this.#deps.telemetry.log.warn('not-carried-on', { process, ...failureFacts(error) })
      }
    }
  }

  async #carryOn(process: ProcessId, options: AbortOptions): Promise<void> {
    const { economy, scheduler, routes, collector, address, mail, origin, telemetry } = this.#deps
    const { spec } = await routes.process(process, options)
    const host = economy.hostOf(process, spec.scheduler)
    if (host?.scheduler !== address || host.epoch === 0 || this.#carried.get(process) === host.epoch) return
    const last = economy.epochsOf(process, spec.scheduler).at(-2)?.last
    if (last === undefined) return
    if (!(await scheduler.holds(process, last))) {
      const tree = await collector.collect(process, { ...options, from: this.#forkOf(process)?.nonce })
      const rows = tree.upTo(last)
      if (rows === undefined) return telemetry.log.warn('log-not-whole-yet', { process, nonce: last.nonce })
      const whole = await collector.withMessages(rows, options)
      if (whole.length < rows.length)
        return telemetry.log.warn('a-message-is-missing', { process, nonce: whole.length })
      await scheduler.adopt(process, whole)
      telemetry.log.info('process-taken-over', { process, epoch: host.epoch, nonce: last.nonce })
      await this.#orderQueued(process, options)
      await this.#orderAgain(tree.others(whole), options)
    }
    if (process === origin || economy.state?.hosts.get(process)?.ready === true) {
      this.#carried.set(process, host.epoch)
      return
    }
    const height = economy.state?.clock.value.height ?? 0
    if (height < (this.#saidAt.get(process) ?? Number.NEGATIVE_INFINITY) + rebidBlocks) return
    this.#saidAt.set(process, height)
    await mail.send(origin, tagsOf(['Action', 'Host-Ready'], ['Process', process]), ' ', options)
  }

  /** What the old SU left out, though it was asked in front of everybody. A message that is ordered keeps its place. */
  async #orderQueued(process: ProcessId, options: AbortOptions): Promise<void> {
    const { economy, scheduler, item, telemetry } = this.#deps
    for (const queued of economy.state?.hosts.get(process)?.queue ?? []) {
      const key = `${process} ${queued.message}`
      if (this.#ordered.has(key)) continue
      try {
        const message = await shownMessage(item, queued, options)
        if (message === undefined) continue
        await scheduler.schedule(message, options)
        this.#ordered.set(key, true)
      } catch (error) {
        telemetry.log.warn('queued-message-not-ordered', { message: queued.message, ...failureFacts(error) })
      }
    }
  }

  /** Messages of places that count no more. Whoever sent them has an answer to them. */
  async #orderAgain(rows: readonly FoundRow[], options: AbortOptions): Promise<void> {
    for (const { message, assignment } of rows) {
      if (message === undefined || message.target !== assignment.process) continue
      try {
        await this.#deps.scheduler.schedule(message, options)
      } catch (error) {
        this.#deps.telemetry.log.warn('not-ordered-again', { message: message.id, ...failureFacts(error) })
      }
    }
  }

  /** Of AO-Sec Origin: what was posted straight to Arweave, by whoever could not reach its SU. */
  async #orderWaiting(options: AbortOptions): Promise<void> {
    const { economy, origin, address, scheduler, item, routes } = this.#deps
    if (economy.waiting.length === 0) return
    const { spec } = await routes.process(origin, options)
    if (economy.hostOf(origin, spec.scheduler)?.scheduler !== address) return
    for (const id of economy.waiting) {
      const message = await item(id as Id, options)
      if (message === undefined) continue
      try {
        await scheduler.schedule(message, options)
      } catch (error) {
        this.#deps.telemetry.log.warn('not-ordered', { message: id, ...failureFacts(error) })
      }
    }
  }

  #mayBid(state: EconomyState, process: ProcessId): boolean {
    const { height } = state.clock.value
    if (state.hosts.get(process)?.bids.some(({ bidder }) => bidder === this.#deps.address) === true) return false
    return height >= (this.#bidAt.get(process) ?? Number.NEGATIVE_INFINITY) + rebidBlocks
  }

  async #bid(state: EconomyState, process: ProcessId, options: AbortOptions): Promise<void> {
    const { collector, routes, mail, origin, scheduler, telemetry } = this.#deps
    const fork = this.#forkOf(process)
    const { item } = await routes.process(process, options)
    const tree = await collector.collect(process, { ...options, from: fork?.nonce })
    const rows = await collector.withMessages(tree.longest(fork), options)
    const last = rows.at(-1)
    if (last === undefined) return telemetry.log.warn('no-log-to-bid-with', { process })
    const own = await scheduler.tail(process)
    // Whoever wins has to serve what any bid has shown: where this SU could not, it does not bid.
    const shown = state.hosts.get(process)?.head
    if (shown !== undefined && shown.nonce >= rows.length)
      return telemetry.log.warn('a-bid-has-shown-more-than-is-to-be-found', { process, nonce: shown.nonce })
    // A log is never taken back: where this SU ordered otherwise in an earlier turn, another has to go on.
    if (own !== undefined && rows[own.nonce]?.assignment.id !== own.id)
      return telemetry.log.warn('own-log-is-another', { process, nonce: own.nonce })
    this.#bidAt.set(process, state.clock.value.height)
    const { data, upTo } = bidData(item, rows, fork)
    await mail.send(origin, tagsOf(['Action', 'Host-Bid'], ['Process', process]), data, options)
    telemetry.log.info('bid-for-a-process', { process, nonce: upTo })
  }

  #forkOf(process: ProcessId): ForkRow | undefined {
    const { state } = this.#deps.economy
    const row = state?.hosts.get(process)
    if (row?.fork !== undefined) return row.fork
    return state && forkOfGuilty(state, process, row)
  }
}

/** Processes that the host table gives to an SU. */
const ownOf = (state: EconomyState, address: Address): readonly ProcessId[] =>
  [...state.hosts.entries()]
    .filter(([, row]) => row.phase === 'hosted' && row.scheduler === address)
    .map(([process]) => process as ProcessId)

function forkOfGuilty(state: EconomyState, process: ProcessId, row: HostRow | undefined): ForkRow | undefined {
  if (row?.phase === 'hosted') {
    const past = row.past.at(-1)
    return past && state.forks.get(forkKey(process, past.scheduler, past.epoch))
  }
  const prefix = `${process} `
  for (const [key, fork] of state.forks.entries()) if (key.startsWith(prefix)) return fork
  return undefined
}

/** Links that a bid may name by their ids: as AO-Sec Origin takes. */
const maxBetween = 4096

/** From the fork on, so that the bid is on the branch that counts; without a fork the last Assignment alone. */
function bidData(item: DataItem, rows: readonly FoundRow[], fork: ForkRow | undefined): { data: string; upTo: number } {
  const from = rows.findIndex(({ assignment }) => assignment.id === fork?.assignment)
  const shown = from < 0 ? rows.slice(-1) : rows.slice(from, from + maxBetween + 2)
  const ends = shown.length > 1 ? [shown[0], shown.at(-1)] : shown
  const items = [item, ...ends.flatMap(row => (row === undefined ? [] : [parseStoredItem(row.assignment.raw)]))]
  const between = shown.slice(1, -1).map(({ assignment }) => assignment.id)
  const data = toBase64Url(packBundle(items))
  return {
    data: between.length === 0 ? data : `${data}.${between.join('')}`,
    upTo: shown.at(-1)?.assignment.nonce ?? -1,
  }
}

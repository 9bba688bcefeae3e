import { epochsOf, type HostEpoch, judgePlace, type PlaceVerdict } from '../../economy/host-epochs.ts'
import { hostOf } from '../../economy/hosts.ts'
import { totalSupply } from '../../economy/ledger.ts'
import { type Standing, standingOf } from '../../economy/operators.ts'
import { type EconomyState, restoreState, snapshotState, stateHash } from '../../economy/state.ts'
import type { AbortOptions } from '../../lib/abort.ts'
import type { Component } from '../../lib/component.ts'
import { AoError } from '../../lib/errors.ts'
import type { Json } from '../../lib/json.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import { Origin } from '../../modules/ao-sec-origin/origin.ts'
import type { EconomyStore } from '../../ports/economy-store.ts'
import type { Hosting, HostTable } from '../../ports/hosts.ts'
import type { ArweaveClient, BundleIndex } from '../../ports/settlement.ts'
import { type Assignment, parseAssignment } from '../../protocol/assignment.ts'
import { type DataItem, parseStoredItem, verifyDataItem } from '../../protocol/data-item.ts'
import type { EconomyParams } from '../../protocol/economy-params.ts'
import type { Address, Id, MessageId, ProcessId } from '../../protocol/ids.ts'
import { parseProcessSpec } from '../../protocol/message.ts'
import { tagValues } from '../../protocol/tags.ts'
import type { UnitRole } from '../../protocol/unit-record.ts'
import { toVmMessage } from '../compute/messages.ts'
import { Loop } from '../loop.ts'
import { measureEconomy } from './gauges.ts'
import { OriginOrder } from './origin-order.ts'
import { readableItems } from './readable-items.ts'

export interface EconomyFollowerDeps {
  /** This node's own, whose stake is measured. */
  readonly address?: Address | undefined
  readonly origin: ProcessId
  readonly arweave: ArweaveClient & BundleIndex
  readonly store: EconomyStore
  readonly telemetry: Telemetry
}
export interface EconomyFollowerOptions {
  readonly pollMs: number
}
export const defaultEconomyFollowerOptions: EconomyFollowerOptions = { pollMs: 2000 }

/** A bundle at the settlement depth. */
interface SettledBundle {
  readonly id: Id
  readonly height: number
}

/**
 * Replays AO-Sec Origin natively from what stands on Arweave, so that a node trusts neither its SU nor any CU about
 * stakes, slashes and who hosts what.
 */
export class EconomyFollower implements Component, HostTable {
  readonly name = 'economy'
  readonly #deps: EconomyFollowerDeps
  readonly #loop: Loop
  readonly #read = new Set<Id>()
  #process: DataItem | undefined
  #order: OriginOrder | undefined
  #origin = new Origin()
  #last: Assignment | undefined

  constructor(deps: EconomyFollowerDeps, options: EconomyFollowerOptions = defaultEconomyFollowerOptions) {
    this.#deps = deps
    this.#loop = Loop.every(options.pollMs, abort => this.tick(abort), deps.telemetry.log, this.name)
    const replayed = (): number => (this.#last?.nonce ?? -1) + 1
    measureEconomy(deps.telemetry.metrics, { state: () => this.state, replayed }, deps.address)
  }

  start(): Promise<void> {
    return this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /** The economy as of the last settled message; undefined before the first. */
  get state(): EconomyState | undefined {
    return this.#origin.state
  }

  standing(role: UnitRole, unit: Address): Standing {
    return this.state === undefined ? 'unstaked' : standingOf(this.state, role, unit)
  }

  /** AO-Sec Origin itself has its host by its own order, all others by its table. */
  hostOf(process: ProcessId, first: Address): Hosting | undefined {
    if (process === this.#deps.origin) return this.#order?.epochs.at(-1) ?? { scheduler: first, epoch: 0 }
    return this.state === undefined ? { scheduler: first, epoch: 0 } : hostOf(this.state, process, first)
  }

  epochsOf(process: ProcessId, first: Address): readonly HostEpoch[] {
    const order = process === this.#deps.origin ? this.#order : undefined
    return order?.epochs ?? epochsOf(this.state?.hosts.get(process), first)
  }

  newestEpoch(process: ProcessId): number {
    if (process === this.#deps.origin) return this.#order?.epoch ?? 0
    return this.state?.hosts.get(process)?.epoch ?? 0
  }

  rehosted(): readonly ProcessId[] {
    const own = (this.#order?.epoch ?? 0) > 0 ? [this.#deps.origin] : []
    const rows = this.state === undefined ? [] : [...this.state.hosts.entries()]
    const others = rows.filter(([, row]) => row.phase === 'hosted' && row.epoch > 0).map(([id]) => id as ProcessId)
    return [...own, ...others]
  }

  judge(assignment: Assignment, first: Address): PlaceVerdict {
    return judgePlace(this.epochsOf(assignment.process, first), assignment)
  }

  /** Items on Arweave for AO-Sec Origin that nobody has ordered. */
  get waiting(): readonly MessageId[] {
    return this.#order?.waiting ?? []
  }

  status(): { readonly [key: string]: Json } {
    const { state } = this
    const at = { origin: this.#deps.origin, nonce: this.#last?.nonce ?? -1, epoch: this.#order?.epoch ?? 0 }
    if (state === undefined) return at
    const { height } = state.clock.value
    return { ...at, height, supply: String(totalSupply(state)), stateHash: stateHash(state) }
  }

  /** One round: all bundles that have reached the settlement depth since the last one, in the order of their heights. */
  async tick(options: AbortOptions = {}): Promise<void> {
    const order = await this.#begin(options)
    if (order === undefined) return
    const from = this.#last?.nonce
    const { height } = await this.#deps.arweave.head(options) // before the list: it has all up to there
    const { epoch } = order
    let isWhole = true
    for (const bundle of await this.#newBundles(options)) {
      order.closeHeight(bundle.height - 1)
      isWhole = await this.#take(order, bundle, options)
      if (!isWhole) break // the gateway has not got it: again next time
      this.#read.add(bundle.id)
    }
    if (isWhole) order.closeHeight(height - this.#depth)
    if (order.epoch !== epoch) this.#deps.telemetry.log.warn('ao-sec-origin-has-another-su', { epoch: order.epoch })
    if (this.#last !== undefined && this.#last.nonce !== from) await this.#save(order)
  }

  /** The Process item and, after a restart, where this node stood. */
  async #begin(options: AbortOptions): Promise<OriginOrder | undefined> {
    if (this.#order !== undefined) return this.#order
    const { origin, arweave, store, telemetry } = this.#deps
    const item = await arweave.item(origin, options)
    if (item === undefined) return undefined // not there yet
    this.#process = await verifyDataItem(item.raw)
    const { scheduler, authorities } = parseProcessSpec(item.tags)
    const schedulers = [scheduler, ...(tagValues(item.tags, 'Fallback-Scheduler') as Address[])]
    const params = paramsOf(item)
    const saved = await store.get(origin)
    const last = saved === undefined ? undefined : parseAssignment(parseStoredItem(saved.last))
    if (saved !== undefined && last !== undefined) {
      this.#origin = new Origin(restoreState(params, saved.lines))
      this.#last = last
      for (const id of saved.bundles) this.#read.add(id)
      telemetry.log.info('economy-restored', { nonce: last.nonce, bundles: saved.bundles.length })
    }
    const rules = { process: origin, schedulers, authorities, takeoverBlocks: params.takeoverBlocks }
    this.#order = new OriginOrder(rules, saved && last && { assignment: last, ...saved.order })
    return this.#order
  }

  get #depth(): number {
    return this.#process === undefined ? 1 : paramsOf(this.#process).settlementDepth
  }

  async #newBundles(options: AbortOptions): Promise<readonly SettledBundle[]> {
    const { origin, arweave } = this.#deps
    const tags = [
      { name: 'Process', value: origin },
      { name: 'Type', value: 'Assignment' },
    ]
    const found: SettledBundle[] = []
    const listed = [await arweave.bundlesWith(tags, options), await arweave.bundlesTo(origin, options)]
    for (const id of new Set(listed.flat())) {
      if (this.#read.has(id)) continue
      const status = await arweave.status(id, options)
      if (typeof status === 'object' && status.confirmations >= this.#depth)
        found.push({ id, height: status.blockHeight })
    }
    return found.sort((a, b) => a.height - b.height || (a.id < b.id ? -1 : 1))
  }

  /** @returns false if the bundle, or a message that it speaks of, cannot be had now. */
  async #take(order: OriginOrder, { id, height }: SettledBundle, options: AbortOptions): Promise<boolean> {
    const bytes = await this.#deps.arweave.data(id, options)
    const block = await this.#deps.arweave.block(height, options)
    if (bytes === undefined || block === undefined) return false
    const { timestamp } = block
    const items = await readableItems(bytes)
    const messages = new Map(items.map(item => [item.id, item]))
    for (const item of items) {
      for (const assignment of order.take({ height, timestamp, item })) {
        const message = messages.get(assignment.message) ?? (await this.#message(assignment.message, options))
        this.#replay(assignment, message)
      }
      // Whoever was convicted by what it ordered itself orders nothing more.
      if (order.scheduler !== undefined && this.state?.holds.get(`SU ${order.scheduler}`)?.tombstoned === true)
        order.handOver(height)
    }
    return true
  }

  /** @throws AoError `UNKNOWN_MESSAGE` if it is nowhere: without it nothing after it can be replayed. */
  async #message(id: MessageId, options: AbortOptions): Promise<DataItem> {
    const found = (id as Id) === (this.#deps.origin as Id) ? this.#process : await this.#deps.arweave.item(id, options)
    if (found === undefined)
      throw new AoError('UNKNOWN_MESSAGE', 'a message of AO-Sec Origin is not on Arweave', { id })
    return verifyDataItem(found.raw)
  }

  #replay(assignment: Assignment, message: DataItem): void {
    const { origin, telemetry } = this.#deps
    const environment = { Process: { Id: origin, Tags: this.#process?.tags ?? [] } }
    try {
      this.#origin.handle(toVmMessage({ assignment, message }) as never, environment)
    } catch (cause) {
      // As on a CU: the message failed, the state is as it was.
      telemetry.log.error('economy-message-failed', { nonce: assignment.nonce, reason: AoError.from(cause).message })
    }
    this.#last = assignment
  }

  async #save(order: OriginOrder): Promise<void> {
    const { state } = this
    if (state === undefined || this.#last === undefined) return
    const lines = [...snapshotState(state)]
    const snapshot = { last: this.#last.raw, order: order.snapshot(), bundles: [...this.#read], lines }
    await this.#deps.store.put(this.#deps.origin, snapshot)
  }
}

const paramsOf = (process: DataItem): EconomyParams =>
  JSON.parse(new TextDecoder().decode(process.data)) as EconomyParams

import type { AbortOptions } from '../../lib/abort.ts'
import { asBuffer } from '../../lib/bytes.ts'
import type { Component } from '../../lib/component.ts'
import type { Counter, Telemetry } from '../../lib/telemetry.ts'
import type { KeptItemsTotals, KeptPlace, ResultStore } from '../../ports/result-store.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { ItemIndex } from '../../ports/trace.ts'
import { unpackBundle } from '../../protocol/bundle.ts'
import type { Id, Nonce } from '../../protocol/ids.ts'
import { Loop } from '../loop.ts'

export interface SettledItemsDeps {
  readonly results: ResultStore
  readonly arweave: Pick<ArweaveClient, 'status' | 'data'> & ItemIndex
  readonly telemetry: Telemetry
}
export interface SettledItemsOptions {
  /** Confirmations after which what is on Arweave stays there. */
  readonly settlementDepth: number
  /** Items that one step looks at. */
  readonly stepItems: number
  /** Between two steps, in milliseconds: each asks the gateway for a bundle. */
  readonly stepMs: number
  /** Between two rounds over all items, in milliseconds. */
  readonly roundMs: number
}
export const defaultSettledItemsOptions: SettledItemsOptions = {
  settlementDepth: 10,
  stepItems: 256,
  stepMs: 1_000,
  roundMs: 10 * 60_000,
}

/** Between two looks at how much is kept, for the gauges. */
const countMs = 10_000

/**
 * Drops the items that a CU keeps once they can be had from Arweave again. The rule: the Assignment and its message are,
 * byte for byte as they are stored here, in one bundle that has `settlementDepth` confirmations. Of each Process the
 * oldest go first, and what comes after one that is not there yet stays.
 */
export class SettledItems implements Component {
  readonly name = 'settled items'
  readonly #deps: SettledItemsDeps
  readonly #options: SettledItemsOptions
  readonly #loop: Loop
  readonly #counting: Loop
  readonly #dropped: Counter
  #totals: KeptItemsTotals = { items: 0, bytes: 0 }
  /** Where the next step begins. */
  #next: KeptPlace | undefined
  /** The bundle read last: Processes that are settled together are looked at one after the other. */
  #bundle: { readonly id: Id; readonly items: ReadonlyMap<Id, Uint8Array> } | undefined

  constructor(deps: SettledItemsDeps, options: SettledItemsOptions = defaultSettledItemsOptions) {
    const { metrics, log } = deps.telemetry
    this.#deps = deps
    this.#options = options
    const failurePauseMs = options.roundMs
    this.#loop = new Loop(step => this.step(step), log, { name: this.name, failurePauseMs })
    this.#counting = Loop.every(countMs, () => this.#count(), log, 'count of kept items')
    this.#dropped = metrics.counter('aonet_compute_kept_items_dropped_total', 'Items dropped because Arweave has them')
    metrics.gauge('aonet_compute_kept_items', 'Items kept beside their results', () => this.#totals.items)
    metrics.gauge('aonet_compute_kept_item_bytes', 'Bytes of those items', () => this.#totals.bytes)
  }

  async start(): Promise<void> {
    await this.#loop.start()
    await this.#counting.start()
  }

  async stop(): Promise<void> {
    await this.#counting.stop()
    await this.#loop.stop()
  }

  /** Looks at the next items of one Process. Resolves with how long to pause, in milliseconds. */
  async step(options: AbortOptions = {}): Promise<number> {
    const { results } = this.#deps
    const { stepItems, stepMs, roundMs } = this.#options
    const found = await results.keptItems(this.#next, stepItems)
    const process = found[0]?.process
    if (process === undefined) {
      this.#next = undefined
      this.#bundle = undefined
      await this.#count()
      return roundMs
    }
    const own = found.filter(place => place.process === process)
    const settled = await this.#settled(own, options)
    if (settled.length > 0) await results.dropItems(process, settled)
    this.#dropped.add(settled.length)
    await this.#count()
    // What comes after the first that is not settled waits for the next round, if nothing was settled.
    this.#next = settled.length > 0 ? own[0] : { process, nonce: Number.MAX_SAFE_INTEGER as Nonce }
    return stepMs
  }

  async #count(): Promise<void> {
    this.#totals = await this.#deps.results.keptItemsTotals()
  }

  /** Those at the beginning that are in the bundle of the first. */
  async #settled(places: readonly KeptPlace[], options: AbortOptions): Promise<readonly Nonce[]> {
    const [first] = places
    if (first === undefined) return []
    let items: ReadonlyMap<Id, Uint8Array> | undefined
    const settled: Nonce[] = []
    const rows = this.#deps.results.scheduled(first.process, { from: first.nonce, to: places.at(-1)?.nonce })
    for await (const { assignment, message } of rows) {
      if (message === undefined) continue // dropped, or never kept
      items ??= await this.#bundleOf(assignment.id as Id, options)
      const has = ({ id, raw }: { readonly id: string; readonly raw: Uint8Array }): boolean => {
        const there = items?.get(id as Id)
        return there !== undefined && asBuffer(there).equals(raw)
      }
      if (!has(assignment) || !has(message)) break
      settled.push(assignment.nonce)
    }
    return settled
  }

  /** What the bundle of an item holds, once that is deep enough. */
  async #bundleOf(item: Id, options: AbortOptions): Promise<ReadonlyMap<Id, Uint8Array> | undefined> {
    if (this.#bundle?.items.has(item)) return this.#bundle.items
    const { arweave } = this.#deps
    const id = await arweave.bundleOf(item, options)
    const status = id && (await arweave.status(id, options))
    if (id === undefined || typeof status !== 'object') return undefined
    if (status.confirmations < this.#options.settlementDepth) return undefined
    const bytes = await arweave.data(id, options)
    if (bytes === undefined) return undefined
    const items = new Map(unpackBundle(bytes).map(entry => [entry.id, entry.bytes]))
    this.#bundle = { id, items }
    return items
  }
}

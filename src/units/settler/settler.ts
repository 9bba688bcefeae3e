import { type AbortOptions, throwIfAborted } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Component } from '../../lib/component.ts'
import { failpoint } from '../../lib/failpoint.ts'
import type { Gauge, Telemetry } from '../../lib/telemetry.ts'
import type { AssignmentLog } from '../../ports/assignment-log.ts'
import type { ArweaveClient, SettlementStore, SettlingBundle } from '../../ports/settlement.ts'
import { packBundle } from '../../protocol/bundle.ts'
import { type Id, idToBytes } from '../../protocol/ids.ts'
import { failureFacts } from '../failure.ts'
import { Loop } from '../loop.ts'
import { type BundleLimits, bytesOf, type LogEntry, planBundle } from './bundler.ts'

export interface SettlerDeps {
  readonly log: AssignmentLog
  readonly store: SettlementStore
  readonly arweave: ArweaveClient
  readonly clock: Clock
  readonly telemetry: Telemetry
}

export interface SettlerOptions extends BundleLimits {
  /** Blocks from a bundle's own (1) until it counts as settled. */
  readonly confirmations: number
  /** Bundles on their way; more wait in the log. */
  readonly maxOpen: number
  readonly pollMs: number
  /** A posted bundle that the gateway does not know is posted again after this; doubled each time. */
  readonly repostAfterMs: number
  readonly maxRepostMs: number
}
export const defaultSettlerOptions: SettlerOptions = {
  maxBytes: 4 * 1024 * 1024,
  maxItems: 5_000,
  maxAgeMs: 60_000,
  confirmations: 10,
  maxOpen: 64,
  pollMs: 5_000,
  repostAfterMs: 60_000,
  maxRepostMs: 15 * 60_000,
}

export interface SettlerStatus {
  /** Log entries that are not final on Arweave. */
  readonly unsettled: number
  /** Bundles on their way. */
  readonly open: number
  /** Log entries that are final. */
  readonly settled: number
  readonly lastBundle: (Pick<SettlingBundle, 'from' | 'to' | 'state' | 'blockHeight'> & { readonly id: Id }) | undefined
}

/**
 * Brings the whole log to Arweave, oldest entry first.
 *
 * Invariant: every entry is after the cursor or in a stored bundle, so a crash at any point loses none; a bundle is
 * posted only once stored, and then always the same bytes, so none is paid for twice.
 */
export class Settler implements Component {
  readonly name = 'settler'
  readonly #deps: SettlerDeps
  readonly #options: SettlerOptions
  readonly #loop: Loop
  readonly #unsettled: Gauge
  readonly #oldest: Gauge

  constructor(deps: SettlerDeps, options: SettlerOptions = defaultSettlerOptions) {
    this.#deps = deps
    this.#options = options
    this.#loop = Loop.every(options.pollMs, abort => this.tick(abort), deps.telemetry.log, this.name)
    const { metrics } = deps.telemetry
    this.#unsettled = metrics.gauge('aonet_settler_unsettled_entries', 'Log entries that are not final on Arweave')
    this.#oldest = metrics.gauge('aonet_settler_oldest_unsettled_seconds', 'Age of the oldest of them')
  }

  start(): Promise<void> {
    return this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /** One round: bundles what is due, then moves each open bundle on. Every step is durable before the next. */
  async tick(options: AbortOptions = {}): Promise<void> {
    try {
      await this.#bundle(options)
    } finally {
      for (const bundle of await this.#deps.store.open()) {
        throwIfAborted(options.signal)
        await this.#advance(bundle, options)
      }
      await this.#measure()
    }
  }

  async status(): Promise<SettlerStatus> {
    const { log, store } = this.#deps
    const [size, cursor, open, recent] = await Promise.all([log.size(), store.cursor(), store.open(), store.recent(1)])
    const unsettled = size - cursor + open.reduce((sum, { from, to }) => sum + to - from + 1, 0)
    const [last] = recent
    const lastBundle =
      last === undefined
        ? undefined
        : { id: last.tx.id, from: last.from, to: last.to, state: last.state, blockHeight: last.blockHeight }
    return { unsettled, open: open.length, settled: size - unsettled, lastBundle }
  }

  async #bundle(options: AbortOptions): Promise<void> {
    const { store, arweave, clock, telemetry } = this.#deps
    let open = (await store.open()).length
    for (; open < this.#options.maxOpen; open++) {
      throwIfAborted(options.signal)
      const plan = planBundle(await this.#unbundled(), this.#options, clock.now())
      if (plan === undefined) return
      const { from, to, items } = plan
      failpoint('settler-planned')
      const tx = await arweave.prepare(packBundle(items), options)
      failpoint('settler-signed')
      await store.add({ tx, from, to, state: 'prepared', posts: 0, postedAt: 0, blockHeight: undefined })
      failpoint('settler-added')
      telemetry.log.info('bundled', { bundle: tx.id, from, to, items: items.length })
    }
  }

  /** Entries after the cursor, enough to fill one bundle and one more. */
  async #unbundled(): Promise<readonly LogEntry[]> {
    const { maxBytes, maxItems } = this.#options
    const entries: LogEntry[] = []
    let bytes = 0
    let after = await this.#deps.store.cursor()
    while (entries.length <= maxItems && bytes <= maxBytes) {
      const more = await this.#deps.log.readAll(after, readAtOnce)
      for (const entry of more) {
        entries.push(entry)
        bytes += bytesOf(entry)
        after = entry.position
      }
      if (more.length < readAtOnce) break
    }
    return entries
  }

  async #advance(bundle: SettlingBundle, options: AbortOptions): Promise<void> {
    try {
      const next = bundle.state === 'prepared' ? await this.#post(bundle, options) : await this.#look(bundle, options)
      if (next === undefined) return
      failpoint('settler-moving')
      await this.#deps.store.update(next)
      failpoint('settler-moved')
      if (next.state !== bundle.state) {
        const { tx, from, to, state, blockHeight } = next
        this.#deps.telemetry.log.info('bundle-moved-on', { bundle: tx.id, from, to, state, blockHeight })
      }
    } catch (error) {
      throwIfAborted(options.signal)
      this.#deps.telemetry.log.warn('bundle-not-moved-on', { bundle: bundle.tx.id, ...failureFacts(error) })
    }
  }

  async #post(bundle: SettlingBundle, options: AbortOptions): Promise<SettlingBundle> {
    await this.#deps.arweave.post(bundle.tx, options)
    failpoint('settler-posted')
    const postedAt = this.#deps.clock.now()
    return { ...bundle, state: 'posted', posts: bundle.posts + 1, postedAt, blockHeight: undefined }
  }

  async #look(bundle: SettlingBundle, options: AbortOptions): Promise<SettlingBundle | undefined> {
    const status = await this.#deps.arweave.status(bundle.tx.id, options)
    failpoint('settler-asked')
    if (status === 'pending') return undefined
    if (status === 'absent') {
      const due = bundle.postedAt + repostDelay(bundle, this.#options)
      return this.#deps.clock.now() < due ? undefined : this.#post(bundle, options)
    }
    const { blockHeight, confirmations } = status
    const state = confirmations >= this.#options.confirmations ? 'settled' : 'seen'
    return state === bundle.state && blockHeight === bundle.blockHeight ? undefined : { ...bundle, state, blockHeight }
  }

  async #measure(): Promise<void> {
    const { store, log, clock } = this.#deps
    const { unsettled } = await this.status()
    this.#unsettled.set(unsettled)
    const [oldest] = await store.open()
    const [entry] = await log.readAll(oldest === undefined ? await store.cursor() : oldest.from - 1, 1)
    const since = entry?.scheduled.assignment.timestamp
    this.#oldest.set(since === undefined ? 0 : Math.max(0, clock.now() - since) / 1000)
  }
}

const readAtOnce = 64

/** Doubles with each post. The jitter (half to whole) is the bundle's own, so that many do not come at once. */
function repostDelay({ tx, posts }: SettlingBundle, { repostAfterMs, maxRepostMs }: SettlerOptions): number {
  const delay = Math.min(maxRepostMs, repostAfterMs * 2 ** Math.max(0, posts - 1))
  return delay * (0.5 + (idToBytes(tx.id)[0] ?? 0) / 512)
}

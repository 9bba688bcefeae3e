import { LRUCache } from 'lru-cache'
import { isAccount } from '../../economy/account.ts'
import { cycleAt } from '../../economy/emission.ts'
import { maxDeltas } from '../../economy/oracle.ts'
import type { ReportDelta } from '../../economy/rows.ts'
import type { EconomyState } from '../../economy/state.ts'
import type { AbortOptions } from '../../lib/abort.ts'
import type { Component } from '../../lib/component.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { ArweaveClient, Holdings, HoldingsIndex } from '../../ports/settlement.ts'
import type { Address, ProcessId } from '../../protocol/ids.ts'
import { tagsOf } from '../../protocol/tags.ts'
import { failureFacts } from '../failure.ts'
import { Loop } from '../loop.ts'
import type { EconomyFollower } from './follower.ts'
import type { OriginMail } from './origin-mail.ts'

export interface OracleFeedDeps {
  /** This node's own: it reports if the network's parameters name it. */
  readonly address: Address
  readonly origin: ProcessId
  readonly economy: Pick<EconomyFollower, 'state'>
  readonly arweave: Pick<ArweaveClient, 'head' | 'block'> & HoldingsIndex
  readonly mail: OriginMail
  readonly telemetry: Telemetry
}
export interface OracleFeedOptions {
  readonly pollMs: number
}
export const defaultOracleFeedOptions: OracleFeedOptions = { pollMs: 5000 }

/** Blocks after which what was sent and did not show is sent again. */
const resendBlocks = 20
/** Sent at once by one that comes after a long time. */
const maxMints = 16
/** Blocks that a reporter leaves to the one whose turn it is to mint. */
const turnBlocks = 10

/**
 * Tells AO-Sec Origin who holds how much, once in a cycle and only what has changed; and has what is due minted.
 *
 * What a report says follows from the last final report and from Arweave as of the last block before the cycle began: so
 * reporters that never speak with each other sign the same. Where each word stands is read from the replayed economy, so
 * that a restart changes nothing.
 */
export class OracleFeed implements Component {
  readonly name = 'oracle feed'
  readonly #deps: OracleFeedDeps
  readonly #loop: Loop
  /** Height of the last word, by what it was about; of earlier cycles it is forgotten by and by. */
  readonly #sentAt = new LRUCache<string, number>({ max: 1_000 })
  #snapshot: { readonly cycle: number; readonly height: number } | undefined

  constructor(deps: OracleFeedDeps, options: OracleFeedOptions = defaultOracleFeedOptions) {
    this.#deps = deps
    this.#loop = Loop.every(options.pollMs, abort => this.tick(abort), deps.telemetry.log, this.name)
  }

  start(): Promise<void> {
    return this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /** One round over all resources. */
  async tick(options: AbortOptions = {}): Promise<void> {
    const { economy, address, arweave, telemetry } = this.#deps
    const { state } = economy
    if (state === undefined || !state.params.oracle.reporters.includes(address)) return
    const { emission, settlementDepth } = state.params
    const { height } = await arweave.head(options)
    const settled = height - settlementDepth
    const time = (await arweave.block(settled, options))?.timestamp
    if (time === undefined) return
    const now: Moment = { state, height, settled, cycle: cycleAt(emission, time), ...options }
    await this.#mint(now)
    if (now.cycle - state.emission.value.cycle > emission.maxCyclesPerMint) return // refused until that is minted
    for (const resource of state.resources.keysInOrder()) {
      try {
        await this.#report(resource, now)
      } catch (error) {
        telemetry.log.warn('holdings-not-reported', { resource, ...failureFacts(error) })
      }
    }
  }

  /** Anybody may mint: each cycle has its reporter, and the others step in if nothing comes. */
  async #mint({ state, height, cycle, ...options }: Moment): Promise<void> {
    const { reporters } = state.params.oracle
    const behind = cycle - state.emission.value.cycle
    const turn = reporters.indexOf(this.#deps.address) - (cycle % reporters.length)
    const since = this.#since(`cycle ${cycle}`, height)
    if (behind <= 0 || height < since + turnBlocks * ((turn + reporters.length) % reporters.length)) return
    const key = `mint from ${state.emission.value.cycle}`
    if (this.#isRecent(key, height)) return
    const messages = Math.min(maxMints, Math.ceil(behind / state.params.emission.maxCyclesPerMint))
    for (let i = 0; i < messages; i++) await this.#send(key, height, [['Action', 'Mint']], ' ', options)
  }

  async #report(resource: string, now: Moment): Promise<void> {
    const { state, height, cycle, ...options } = now
    const { address, telemetry } = this.#deps
    const row = state.resources.get(resource)
    const word = state.votes.get(`${resource} ${address}`)
    if (row === undefined || row.cycle >= cycle || (word?.cycle ?? 0) >= cycle || state.heldReports.has(resource))
      return
    const key = `${resource} ${cycle}`
    if (this.#isRecent(key, height)) return
    const held = await this.#holdings(resource, now)
    if (held === undefined) return
    const { deltas, total } = changes(state, resource, held)
    if (deltas.length === 0) {
      this.#sentAt.set(key, Number.POSITIVE_INFINITY) // of this cycle there is nothing to say
      return
    }
    const tags = [
      ['Action', 'Oracle-Report'],
      ['Resource', resource],
      ['Cycle', String(cycle)],
      ['Total', String(total)],
    ] as const
    const data = JSON.stringify({ deltas: deltas.map(({ account, quantity }) => [account, String(quantity)]) })
    await this.#send(key, height, tags, data, options)
    telemetry.log.info('holdings-reported', { resource, cycle, changes: deltas.length })
  }

  async #holdings(resource: string, { state, cycle, settled, ...options }: Moment): Promise<Holdings | undefined> {
    const { genesisMs, cycleMs } = state.params.emission
    if (this.#snapshot?.cycle !== cycle) {
      const height = await this.#lastBefore(genesisMs + cycle * cycleMs, settled, options)
      if (height === undefined) return undefined
      this.#snapshot = { cycle, height }
    }
    return this.#deps.arweave.holdings(resource, this.#snapshot.height, options)
  }

  /** Height of the last block before a moment, no later than `upTo`; undefined if there is none. */
  async #lastBefore(momentMs: number, upTo: number, options: AbortOptions): Promise<number | undefined> {
    const isBefore = async (height: number): Promise<boolean> =>
      height >= 0 && ((await this.#deps.arweave.block(height, options))?.timestamp ?? momentMs) < momentMs
    let step = 1
    while (!(await isBefore(upTo - step)) && step <= upTo) step *= 2
    let [before, after] = [upTo - step, upTo]
    if (!(await isBefore(before))) return undefined
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2)
      if (await isBefore(middle)) before = middle
      else after = middle
    }
    return before
  }

  async #send(
    key: string,
    height: number,
    tags: readonly (readonly [string, string])[],
    data: string,
    options: AbortOptions,
  ): Promise<void> {
    this.#sentAt.set(key, height)
    await this.#deps.mail.send(this.#deps.origin, tagsOf(...tags), data, options)
  }

  #isRecent(key: string, height: number): boolean {
    return height < (this.#sentAt.peek(key) ?? Number.NEGATIVE_INFINITY) + resendBlocks
  }

  /** Height at which this was first asked for. */
  #since(key: string, height: number): number {
    const since = this.#sentAt.peek(key) ?? height
    this.#sentAt.set(key, since)
    return since
  }
}

interface Moment extends AbortOptions {
  readonly state: EconomyState
  /** Of the newest block, and of the newest that stays. */
  readonly height: number
  readonly settled: number
  /** That the settled block lies in. */
  readonly cycle: number
}

/** What differs from the economy: the largest changes first if there are too many for one report; the rest comes next. */
export function changes(
  state: EconomyState,
  resource: string,
  held: Holdings,
): { readonly deltas: readonly ReportDelta[]; readonly total: bigint } {
  const before = new Map<string, bigint>()
  for (const [key, { own }] of state.holders.entries()) {
    if (own > 0n && key.startsWith(`${resource} `)) before.set(key.slice(resource.length + 1), own)
  }
  const found: { account: string; quantity: bigint; by: bigint }[] = []
  for (const account of new Set([...held.keys(), ...before.keys()])) {
    const by = (held.get(account) ?? 0n) - (before.get(account) ?? 0n)
    if (by !== 0n && isAccount(account)) found.push({ account, quantity: held.get(account) ?? 0n, by })
  }
  const size = (by: bigint): bigint => (by < 0n ? -by : by)
  found.sort((a, b) => (size(a.by) === size(b.by) ? byAccount(a, b) : size(a.by) > size(b.by) ? -1 : 1))
  const chosen = found.slice(0, maxDeltas).sort(byAccount)
  const total = chosen.reduce((sum, { by }) => sum + by, state.resources.get(resource)?.quantity ?? 0n)
  return { deltas: chosen.map(({ account, quantity }) => ({ account, quantity })), total }
}

/** No two have the same. */
const byAccount = (a: ReportDelta, b: ReportDelta): number => (a.account < b.account ? -1 : 1)

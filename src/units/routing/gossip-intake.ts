import { LRUCache } from 'lru-cache'
import { sleep } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Component } from '../../lib/component.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import { type RateLimit, RateLimiter } from '../../lib/rate-limiter.ts'
import type { Counter, Telemetry } from '../../lib/telemetry.ts'
import type { Gossip, PeerDirectory, Verdict } from '../../ports/peers.ts'
import type { Messenger, Scheduler } from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { type DataItem, verifyDataItem } from '../../protocol/data-item.ts'
import type { Address, Id, MessageId, ProcessId } from '../../protocol/ids.ts'
import { parseAoItem } from '../../protocol/message.ts'
import { failureFacts } from '../failure.ts'
import { rendezvous } from './routed-compute.ts'

export interface GossipIntakeDeps {
  readonly gossip: Gossip
  readonly directory: PeerDirectory
  /** Asked whether a message is ordered already, before this node takes over from another. */
  readonly scheduler: Scheduler
  /** This node's own MU. Without it the node judges and forwards, and takes nothing. */
  readonly messenger?: Messenger | undefined
  /** Of this node. */
  readonly address: Address
  readonly clock: Clock
  readonly telemetry: Telemetry
}

export interface GossipIntakeOptions {
  /** Bytes of one message. */
  readonly maxItemBytes: number
  /** Messages of one wallet. */
  readonly perWallet: RateLimit
  /** Messages that wait for their turn or are being submitted. */
  readonly maxPending: number
  /** How long each MU has, in milliseconds, before the next in order takes over. */
  readonly takeoverMs: number
  /** MUs that stand by for one message; the last of them tries when all before have failed. */
  readonly maxTurns: number
}
export const defaultGossipIntakeOptions: GossipIntakeOptions = {
  maxItemBytes: 256 * 1024,
  perWallet: { perSecond: 10, burst: 100 },
  maxPending: 2_000,
  takeoverMs: 3_000,
  maxTurns: 4,
}

/**
 * Takes messages that peers without an MU publish. All living MUs put themselves in one order for each message by
 * rendezvous hash: the first submits it, and each next one only if the message is not ordered when its turn comes.
 *
 * Two MUs may still submit one message, when they see different units alive; the SU orders it once, for its id decides.
 */
export class GossipIntake implements Component {
  readonly name = 'gossip-intake'
  readonly #deps: GossipIntakeDeps
  readonly #options: GossipIntakeOptions
  readonly #wallets: RateLimiter
  readonly #pending = new Map<string, AbortController>()
  readonly #running = new Set<Promise<void>>()
  readonly #ordered = new LRUCache<string, true>({ max: 10_000 })
  readonly #outcomes: Counter
  #stopping = new AbortController()
  #unsubscribe: () => void = () => undefined

  constructor(deps: GossipIntakeDeps, options: GossipIntakeOptions = defaultGossipIntakeOptions) {
    this.#deps = deps
    this.#options = options
    this.#wallets = new RateLimiter(deps.clock, { ...options.perWallet, maxKeys: 10_000 })
    const { metrics } = deps.telemetry
    this.#outcomes = metrics.counter('aonet_gossip_intake_total', 'Gossiped messages, by what became of them', [
      'outcome',
    ])
    metrics.gauge('aonet_gossip_intake_pending', 'Gossiped messages waiting for their turn', () => this.#pending.size)
  }

  async start(): Promise<void> {
    this.#stopping = new AbortController()
    this.#unsubscribe = this.#deps.gossip.subscribe('messages', bytes => this.#judge(bytes))
  }

  /** Gives up what waits for its turn: another MU takes it over. Resolves when nothing is being submitted. */
  async stop(): Promise<void> {
    this.#unsubscribe()
    this.#stopping.abort(new AoError('STOPPING', 'the node is shutting down'))
    await Promise.allSettled(this.#running)
  }

  /** Told of each Assignment that was judged good: its message needs no MU any more. */
  onAssignment({ process, message }: Assignment): void {
    const key = keyOf(process, message)
    this.#ordered.set(key, true)
    this.#pending.get(key)?.abort()
  }

  /** @throws AoError `TOO_LARGE` | `INVALID_DATA_ITEM`, which gossip rejects; `OVERLOADED`, which it ignores. */
  async #judge(bytes: Uint8Array): Promise<Verdict> {
    const item = await verifyDataItem(bytes, { maxBytes: this.#options.maxItemBytes })
    const process = processOf(item)
    const key = keyOf(process, item.id as Id as MessageId)
    if (this.#pending.has(key) || this.#ordered.has(key)) return 'accept'
    if (!this.#wallets.take(item.owner)) throw tooMuch('messages of one wallet', this.#options.perWallet.perSecond)
    const turn = this.#turnOf(item.id)
    if (turn === undefined) return 'accept'
    if (this.#pending.size >= this.#options.maxPending) throw tooMuch('gossiped messages', this.#pending.size)
    const taking = this.#take(item, { key, process, turn }).finally(() => this.#running.delete(taking))
    this.#running.add(taking)
    return 'accept'
  }

  /** This node's place in the order of MUs for a message, from 0; undefined if it is none of them. */
  #turnOf(message: Id): number | undefined {
    if (this.#deps.messenger === undefined) return undefined
    const order = rendezvous(message, this.#deps.directory.find('MU'))
    const turn = order.findIndex(({ address }) => address === this.#deps.address)
    return turn < 0 || turn >= this.#options.maxTurns ? undefined : turn
  }

  async #take(
    item: DataItem,
    { key, process, turn }: { key: string; process: ProcessId; turn: number },
  ): Promise<void> {
    const waiting = new AbortController()
    this.#pending.set(key, waiting)
    try {
      const signal = AbortSignal.any([waiting.signal, this.#stopping.signal])
      if (turn > 0) await sleep(turn * this.#options.takeoverMs, { signal })
      if (turn > 0 && (await this.#isOrdered(process, item.id as Id as MessageId, signal))) return this.#note('ordered')
      await this.#deps.messenger?.submit(item.raw, { signal: this.#stopping.signal })
      this.#note(turn === 0 ? 'taken' : 'taken-over')
    } catch (error) {
      if (waiting.signal.aborted) return this.#note('ordered')
      this.#note('failed')
      this.#deps.telemetry.log.debug('gossiped-message-not-taken', { message: item.id, ...failureFacts(error) })
    } finally {
      this.#pending.delete(key)
    }
  }

  /** What cannot be found out counts as not ordered: submitting twice is harmless, not at all is not. */
  async #isOrdered(process: ProcessId, message: MessageId, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#deps.scheduler.assignment(process, message, { signal })
      return true
    } catch (error) {
      if (hasCode(error, 'UNKNOWN_MESSAGE', 'UNKNOWN_PROCESS')) return false
      return this.#ordered.has(keyOf(process, message))
    }
  }

  #note(outcome: string): void {
    this.#outcomes.add(1, { outcome })
  }
}

/** A Process is ordered in its own schedule. @throws AoError `INVALID_DATA_ITEM` */
export function processOf(item: DataItem): ProcessId {
  const ao = parseAoItem(item)
  return ao.type === 'Process' ? ao.process : (item.target as Id as ProcessId)
}

const keyOf = (process: ProcessId, message: MessageId): string => `${process} ${message}`

const tooMuch = (what: string, limit: number): AoError => new AoError('OVERLOADED', `too many ${what}`, { limit })

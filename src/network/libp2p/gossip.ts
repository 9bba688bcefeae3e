import { type Message, TopicValidatorResult } from '@libp2p/gossipsub'
import type { PeerId } from '@libp2p/interface'
import { type AbortOptions, raceSignal } from '../../lib/abort.ts'
import { systemClock } from '../../lib/clock.ts'
import type { Component } from '../../lib/component.ts'
import { AoError } from '../../lib/errors.ts'
import type { Counter, Telemetry } from '../../lib/telemetry.ts'
import type { Gossip, GossipTopic, Verdict } from '../../ports/peers.ts'
import { BlameLimiter } from './blame.ts'
import { decodeEnvelope, encodeEnvelope, maxGossipItems } from './envelope.ts'
import { maxGossipBytes } from './gossip-options.ts'
import { GossipRates } from './gossip-rates.ts'
import { GossipStreamWatch } from './gossip-watch.ts'
import type { Libp2pHost } from './host.ts'
import { topicName, topicNames } from './names.ts'
import { verdictOf } from './verdict.ts'

export interface Libp2pGossipDeps extends Telemetry {
  readonly host: Libp2pHost
}

export interface Libp2pGossipOptions {
  /** Messages in judgement at once; above it they are ignored. */
  readonly maxInFlight?: number
  /** A judge that takes longer has its message ignored. */
  readonly judgeTimeoutMs?: number
  readonly rates?: GossipRates
}

type Judge = (bytes: Uint8Array, from: string) => Promise<Verdict>

/**
 * Gossip over gossipsub: messages are signed by the publishing peer, judged before they are forwarded, and known by
 * the hash of topic and data for two minutes.
 *
 * Invariant: a judge sees messages of others only, each once. What this node publishes is not shown to its own judge.
 * A message that was ignored is not shown again while it is known, nor are bytes published twice sent twice.
 * `from` is the PeerId of the neighbour that handed the message over, not of its author.
 */
export class Libp2pGossip implements Gossip, Component {
  readonly name = 'libp2p-gossip'
  readonly #deps: Libp2pGossipDeps
  readonly #maxInFlight: number
  readonly #judgeTimeoutMs: number
  readonly #judges = new Map<GossipTopic, Judge>()
  readonly #inFlight = new Set<Promise<Verdict>>()
  readonly #subscriberListeners = new Set<(topic: GossipTopic, peer: string) => void>()
  readonly #names: ReadonlyMap<string, GossipTopic>
  readonly #blame: BlameLimiter
  readonly #rates: GossipRates
  readonly #watch: GossipStreamWatch
  readonly #received: Counter
  readonly #published: Counter
  #started = false
  #onSubscription = (event: CustomEvent<SubscriptionChange>): void => this.#subscribed(event.detail)

  constructor(deps: Libp2pGossipDeps, options: Libp2pGossipOptions = {}) {
    const { maxInFlight = 256, judgeTimeoutMs = 10_000, rates = new GossipRates(systemClock) } = options
    this.#deps = deps
    this.#rates = rates
    this.#maxInFlight = maxInFlight
    this.#judgeTimeoutMs = judgeTimeoutMs
    this.#names = topicNames(deps.host.networkHash)
    this.#blame = new BlameLimiter(systemClock, () => deps.host.peers.size)
    this.#watch = new GossipStreamWatch(deps)
    const { metrics } = deps
    this.#received = metrics.counter('aonet_network_gossip_received_total', 'Gossip messages judged', [
      'topic',
      'verdict',
    ])
    this.#published = metrics.counter('aonet_network_gossip_published_total', 'Gossip items published', ['topic'])
    metrics.gauge('aonet_network_gossip_judging', 'Gossip messages in judgement', () => this.#inFlight.size)
  }

  /**
   * Sends to every neighbour that listens; resolves also when there is none. Best effort.
   *
   * @throws AoError `TOO_LARGE` above 256 KiB or 64 items, `OVERLOADED` above what the others take of one author, `NOT_READY`
   * before start and after stop.
   */
  async publish(topic: GossipTopic, ...items: readonly Uint8Array[]): Promise<void> {
    assertFits(items)
    if (!this.#started) throw new AoError('NOT_READY', 'gossip is not running')
    if (!this.#rates.mayPublish(topic, items.length)) {
      throw new AoError(
        'OVERLOADED',
        'too much for this topic of gossip',
        { topic },
        { hint: 'Publish less, or later.' },
      )
    }
    await this.#deps.host.pubsub.publish(this.#name(topic), encodeEnvelope(items))
    this.#published.add(items.length, { topic })
  }

  subscribe(topic: GossipTopic, judge: Judge): () => void {
    if (this.#judges.has(topic)) throw new TypeError(`topic ${topic} has a judge already`)
    this.#judges.set(topic, judge)
    if (this.#started) this.#join(topic)
    return () => {
      if (this.#judges.get(topic) !== judge) return
      this.#judges.delete(topic)
      if (this.#started) this.#leave(topic)
    }
  }

  /** What a neighbour's conduct is worth: 0 for a newcomer, below 0 for a bad one. Up to a second old. */
  scoreOf(peer: string): number {
    return this.#deps.host.pubsub.getScore(peer)
  }

  /** What lowers that score beside the ledger's points: bad messages not yet forgotten, promises broken. */
  faultsOf(peer: string): { readonly invalidGossip: number; readonly brokenPromises: number } {
    const stats = this.#deps.host.pubsub.dumpPeerScoreStats()[peer]
    const invalid = Object.values(stats?.topics ?? {}).map(topic => topic?.invalidMessageDeliveries ?? 0)
    return {
      invalidGossip: Math.round(invalid.reduce((sum, count) => sum + count, 0) * 10) / 10,
      brokenPromises: Math.round((stats?.behaviourPenalty ?? 0) * 10) / 10,
    }
  }

  /** Neighbours that listen to a topic and that we have a stream to: what is published now is sent to them. */
  subscribers(topic: GossipTopic): readonly string[] {
    const { pubsub } = this.#deps.host
    const peers = pubsub.getSubscribers(this.#name(topic)).map(peer => peer.toString())
    return peers.filter(peer => pubsub.streamsOutbound.has(peer))
  }

  isHeard(topic: GossipTopic): boolean {
    return this.subscribers(topic).length > 0
  }

  /** Tells of each neighbour that begins to listen to a topic. Returns how to stop. */
  onSubscriber(listener: (topic: GossipTopic, peer: string) => void): () => void {
    this.#subscriberListeners.add(listener)
    return () => this.#subscriberListeners.delete(listener)
  }

  /** The host is started before this. @throws AoError `NOT_READY` */
  async start(_options: AbortOptions = {}): Promise<void> {
    if (this.#started) return
    this.#deps.host.pubsub.addEventListener('subscription-change', this.#onSubscription)
    this.#started = true
    for (const topic of this.#judges.keys()) this.#join(topic)
    this.#watch.start()
  }

  /** Takes no more messages; resolves when those in judgement are judged. */
  async stop(): Promise<void> {
    if (!this.#started) return
    this.#started = false
    this.#watch.stop()
    this.#deps.host.pubsub.removeEventListener('subscription-change', this.#onSubscription)
    for (const topic of this.#judges.keys()) this.#leave(topic)
    await Promise.allSettled(this.#inFlight)
  }

  #join(topic: GossipTopic): void {
    const { pubsub } = this.#deps.host
    pubsub.topicValidators.set(this.#name(topic), (from, message) => this.#validate(topic, from, message))
    pubsub.subscribe(this.#name(topic))
  }

  #leave(topic: GossipTopic): void {
    this.#deps.host.pubsub.unsubscribe(this.#name(topic))
    this.#deps.host.pubsub.topicValidators.delete(this.#name(topic))
  }

  async #validate(topic: GossipTopic, from: PeerId, message: Message): Promise<TopicValidatorResult> {
    const judge = this.#judges.get(topic)
    if (judge === undefined || !this.#started) return TopicValidatorResult.Ignore
    const opened = openedEnvelope(message.data)
    if (!this.#isWithinRates(topic, from.toString(), { message, items: opened.items.length || 1 })) {
      this.#received.add(1, { topic, verdict: 'too-many' })
      return TopicValidatorResult.Ignore
    }
    if (this.#inFlight.size >= this.#maxInFlight) {
      this.#received.add(1, { topic, verdict: 'overloaded' })
      return TopicValidatorResult.Ignore
    }
    const judging = this.#judgeAll(topic, { judge, from: from.toString() }, opened)
    this.#inFlight.add(judging)
    const verdict = await judging.finally(() => this.#inFlight.delete(judging))
    this.#received.add(1, { topic, verdict })
    if (verdict === 'reject' && !this.#blame.mayBlame(from.toString())) {
      this.#deps.log.warn('gossip-blame-suspended', { topic, neighbours: this.#deps.host.peers.size })
      return TopicValidatorResult.Ignore
    }
    if (verdict === 'reject') this.#deps.host.ledger.blame(from.toString(), 'gossip-invalid')
    return results[verdict]
  }

  /** Who publishes too much is blamed; who hands it over is not, unless it is the same. */
  #isWithinRates(
    topic: GossipTopic,
    from: string,
    what: { readonly message: Message; readonly items: number },
  ): boolean {
    const { message, items } = what
    const author = message.type === 'signed' ? message.from.toString() : from
    const judged = this.#rates.judge(topic, { author, neighbour: from, items })
    if (judged === 'author' && author === from) this.#deps.host.ledger.blame(from, 'gossip-rate', items)
    return judged === 'fine'
  }

  /** One bad item spoils the message, one that is good and new is worth forwarding it. */
  async #judgeAll(topic: GossipTopic, how: Judging, { items, refusal }: Opened): Promise<Verdict> {
    if (refusal !== undefined) return this.#notAccepted(topic, how.from, refusal)
    const signal = AbortSignal.timeout(this.#judgeTimeoutMs)
    let verdict: Verdict = 'ignore'
    for (const item of items) {
      const one = await this.#judge(topic, item, { ...how, signal })
      if (one === 'reject') return one
      if (one === 'accept') verdict = one
    }
    return verdict
  }

  async #judge(
    topic: GossipTopic,
    item: Uint8Array,
    { judge, from, signal }: Judging & { readonly signal: AbortSignal },
  ): Promise<Verdict> {
    try {
      return await raceSignal(judge(item, from), { signal })
    } catch (error) {
      return this.#notAccepted(topic, from, error)
    }
  }

  #notAccepted(topic: GossipTopic, from: string, error: unknown): Verdict {
    const { code, message } = AoError.from(error)
    const verdict = verdictOf(error)
    // A judge that fails for no named reason is a bug of this node.
    if (code === 'INTERNAL') this.#deps.log.error('gossip-judge-failed', { topic, error: String(error) })
    else this.#deps.log.debug('gossip-not-accepted', { topic, from, verdict, code, reason: message })
    return verdict
  }

  #subscribed({ peerId, subscriptions }: SubscriptionChange): void {
    for (const { topic: name, subscribe } of subscriptions) {
      const topic = this.#names.get(name)
      if (!subscribe || topic === undefined) continue
      for (const listener of this.#subscriberListeners) listener(topic, peerId.toString())
    }
  }

  #name(topic: GossipTopic): string {
    return topicName(this.#deps.host.networkHash, topic)
  }
}

interface Judging {
  readonly judge: Judge
  readonly from: string
}
interface Opened {
  readonly items: readonly Uint8Array[]
  readonly refusal?: unknown
}

function openedEnvelope(data: Uint8Array): Opened {
  try {
    const items = decodeEnvelope(data)
    assertFits(items)
    return { items }
  } catch (refusal) {
    return { items: [], refusal }
  }
}

function assertFits(items: readonly Uint8Array[]): void {
  const bytes = bytesOf(items)
  if (bytes <= maxGossipBytes && items.length <= maxGossipItems) return
  const facts = { items: items.length, bytes, limit: maxGossipBytes }
  const hint = 'Send large messages to a unit directly; gossip carries notices only.'
  throw new AoError('TOO_LARGE', 'too large for gossip', facts, { hint })
}

const bytesOf = (items: readonly Uint8Array[]): number => items.reduce((sum, { length }) => sum + length, 0)

interface SubscriptionChange {
  readonly peerId: PeerId
  readonly subscriptions: readonly { readonly topic: string; readonly subscribe: boolean }[]
}

const results = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
} as const satisfies Record<Verdict, TopicValidatorResult>

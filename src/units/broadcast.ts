import type { Counter, Telemetry } from '../lib/telemetry.ts'
import type { Gossip, GossipTopic } from '../ports/peers.ts'
import { failureFacts } from './failure.ts'

export interface BroadcastDeps {
  readonly gossip: Gossip
  readonly telemetry: Telemetry
}

/**
 * Publishes on one topic, in order and behind the caller's back. Best effort: over `maxUnsent` the oldest is dropped
 * and counted, and a failed publication is not tried again, because nothing correct depends on gossip.
 */
export class Broadcast {
  readonly #deps: BroadcastDeps
  readonly #topic: GossipTopic
  readonly #maxUnsent: number
  readonly #dropped: Counter
  #unsent: Uint8Array[] = []
  #sending: Promise<void> | undefined

  constructor(deps: BroadcastDeps, topic: GossipTopic, maxUnsent: number) {
    this.#deps = deps
    this.#topic = topic
    this.#maxUnsent = maxUnsent
    this.#dropped = deps.telemetry.metrics.counter(
      `aonet_units_${topic.replaceAll('-', '_')}_unsent_total`,
      `Signed ${topic} that were not published because the queue was full or gossip refused them`,
    )
  }

  send(bytes: Uint8Array): void {
    if (this.#unsent.length >= this.#maxUnsent) {
      this.#unsent.shift()
      this.#dropped.add()
    }
    this.#unsent.push(bytes)
    this.#sending ??= this.#drain()
  }

  /** Drops what is unsent; resolves when nothing is in flight. */
  async stop(): Promise<void> {
    this.#unsent = []
    await this.#sending
  }

  async #drain(): Promise<void> {
    for (let next = this.#unsent.shift(); next !== undefined; next = this.#unsent.shift()) {
      try {
        await this.#deps.gossip.publish(this.#topic, next)
      } catch (error) {
        this.#dropped.add()
        this.#deps.telemetry.log.debug('not published', { topic: this.#topic, ...failureFacts(error) })
      }
    }
    this.#sending = undefined // same tick as the emptiness check
  }
}

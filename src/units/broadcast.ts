import { sleep } from '../lib/abort.ts'
import type { Counter, Telemetry } from '../lib/telemetry.ts'
import type { Gossip, GossipTopic } from '../ports/peers.ts'
import { failureFacts } from './failure.ts'

export interface BroadcastDeps {
  readonly gossip: Gossip
  readonly telemetry: Telemetry
}

/** Most that travels in one message of gossip. */
const together = { items: 64, bytes: 64 * 1024 } as const

/** After a message so much time passes until the next, in milliseconds: what comes meanwhile travels together. */
const pauseMs = 100

/**
 * Publishes on one topic, in order and behind the caller's back. Best effort: what nobody listens to is dropped; over
 * `maxUnsent` the oldest is, and counted; a failed publication is not tried again, because nothing correct depends on
 * gossip.
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

  send(...items: readonly Uint8Array[]): void {
    // A message to nobody costs a signature of its own all the same.
    if (this.#sending === undefined && !this.#deps.gossip.isHeard(this.#topic)) return
    this.#unsent.push(...items)
    const tooMany = this.#unsent.length - this.#maxUnsent
    if (tooMany > 0) {
      this.#unsent.splice(0, tooMany)
      this.#dropped.add(tooMany)
    }
    this.#sending ??= this.#drain()
  }

  /** Drops what is unsent; resolves when nothing is in flight. */
  async stop(): Promise<void> {
    this.#unsent = []
    await this.#sending
  }

  async #drain(): Promise<void> {
    while (this.#unsent.length > 0) {
      const items = this.#unsent.splice(0, this.#next())
      try {
        await this.#deps.gossip.publish(this.#topic, ...items)
      } catch (error) {
        this.#dropped.add(items.length)
        this.#deps.telemetry.log.debug('not-published', { topic: this.#topic, ...failureFacts(error) })
      }
      await sleep(pauseMs)
    }
    this.#sending = undefined // same tick as the emptiness check
  }

  /** How many of those that wait go together. */
  #next(): number {
    let bytes = 0
    const end = this.#unsent.findIndex((item, i) => {
      bytes += item.length
      return i > 0 && (i >= together.items || bytes > together.bytes)
    })
    return end < 0 ? this.#unsent.length : end
  }
}

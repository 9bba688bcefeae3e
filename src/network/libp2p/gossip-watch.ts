import type { Logger } from '../../lib/telemetry.ts'
import type { Libp2pHost } from './host.ts'

/** Milliseconds between looks. A stream is opened within one, on a busy machine too; missing in two means that it will not come. */
const lookMs = 5_000

/**
 * Closes connections over which gossip has silently ended.
 *
 * gossipsub opens its streams when a connection opens and never again: a stream that is reset later (its buffer ran
 * over, the peer sent too large a frame) leaves two connected nodes that hear nothing of each other. Closing the
 * connection makes the directory or the bootstrap dialer open a new one.
 */
export class GossipStreamWatch {
  readonly #deps: { readonly host: Libp2pHost; readonly log: Logger }
  #suspects = new Set<string>()
  /** Peers whose stream was there at the last look: it is theirs to lose. */
  #heard = new Set<string>()
  #timer: NodeJS.Timeout | undefined
  #stopListening: () => void = () => undefined

  constructor(deps: { readonly host: Libp2pHost; readonly log: Logger }) {
    this.#deps = deps
  }

  start(): void {
    this.#timer = setInterval(() => this.#look(), lookMs)
    // A stream of an earlier connection says nothing about the next one.
    this.#stopListening = this.#deps.host.onPeer({ left: peer => this.#heard.delete(peer) })
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#stopListening()
    this.#suspects.clear()
    this.#heard.clear()
  }

  #look(): void {
    const { host, log } = this.#deps
    const mute = [...host.peers].filter(peer => !host.pubsub.streamsOutbound.has(peer))
    for (const peer of mute) {
      if (!this.#suspects.has(peer)) continue
      log.warn('gossip-stream-lost', { peer })
      // One that never came is a busy machine's; one that was there and ended, the peer's who did not read or sent too much.
      if (this.#heard.delete(peer)) host.ledger.blame(peer, 'gossip-mute')
      void host.hangUp(peer)
    }
    this.#suspects = new Set(mute)
    this.#heard = new Set(
      [...host.peers].filter(peer => host.pubsub.streamsOutbound.has(peer) || this.#heard.has(peer)),
    )
  }
}

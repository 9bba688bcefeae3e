import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/telemetry.ts'
import type { UnitRecord } from '../../protocol/unit-record.ts'

export interface ConnectorDeps {
  readonly log: Logger
  readonly clock: Clock
  readonly self: string
  connected(): ReadonlySet<string>
  records(): readonly UnitRecord[]
  dial(peer: string, addresses: readonly string[]): Promise<void>
}

/** Dials under way at once. */
const maxDials = 4
/** Milliseconds between tries to reach the same peer, doubling. */
const firstDelayMs = 2_000
const maxDelayMs = 60_000
/** Of two peers the smaller dials; the other waits this long, in milliseconds, in case the smaller cannot. */
const courtesyMs = 2_000

interface Try {
  failures: number
  nextAt: number
}

/**
 * Keeps a few connections to the peers that unit records name, so that no node hangs on its bootstrap peers alone.
 *
 * Stops dialing at `target` connections; more may come from outside.
 */
export class Connector {
  readonly #deps: ConnectorDeps
  readonly #target: number
  readonly #dials = new Map<string, Promise<void>>()
  #tries = new Map<string, Try>()

  constructor(deps: ConnectorDeps, target: number) {
    this.#deps = deps
    this.#target = target
  }

  /** Dials what is due. To be called often; returns at once. */
  tick(): void {
    const { clock, connected } = this.#deps
    const now = clock.now()
    const candidates = this.#candidates()
    // Forgets peers that are connected or no longer known, so the map stays as small as the book.
    this.#tries = new Map(candidates.map(({ peer }) => [peer, this.#tries.get(peer) ?? this.#firstTry(peer, now)]))
    for (const { peer, multiaddrs } of candidates) {
      if (connected().size + this.#dials.size >= this.#target || this.#dials.size >= maxDials) return
      const attempt = this.#tries.get(peer)
      if (attempt === undefined || attempt.nextAt > now || this.#dials.has(peer)) continue
      this.#dials.set(
        peer,
        this.#dial(peer, multiaddrs, attempt).finally(() => this.#dials.delete(peer)),
      )
    }
  }

  /** Resolves when no dial is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#dials.values())
  }

  #candidates(): readonly UnitRecord[] {
    const connected = this.#deps.connected()
    return this.#deps
      .records()
      .filter(({ peer, multiaddrs }) => peer !== this.#deps.self && multiaddrs.length > 0 && !connected.has(peer))
  }

  #firstTry(peer: string, now: number): Try {
    return { failures: 0, nextAt: this.#deps.self < peer ? now : now + courtesyMs }
  }

  async #dial(peer: string, multiaddrs: readonly string[], attempt: Try): Promise<void> {
    try {
      await this.#deps.dial(peer, multiaddrs)
    } catch (error) {
      this.#deps.log.debug('peer-unreachable', { peer, failures: attempt.failures + 1, reason: String(error) })
    }
    attempt.nextAt = this.#deps.clock.now() + Math.min(maxDelayMs, firstDelayMs * 2 ** attempt.failures)
    attempt.failures += 1
  }
}

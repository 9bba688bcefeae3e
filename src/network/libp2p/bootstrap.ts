import type { Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/telemetry.ts'

export interface BootstrapDeps {
  readonly log: Logger
  readonly clock: Clock
  /** Connects and tells the PeerId of who answered. */
  dial(address: Multiaddr): Promise<string>
  isConnected(peer: string): boolean
}

/** Milliseconds. The first redial comes soon, for most losses are restarts; half a minute bothers nobody. */
const firstDelayMs = 500
const maxDelayMs = 30_000

interface Target {
  readonly address: Multiaddr
  peer: string | undefined
  failures: number
  nextAt: number
  dialing: Promise<void> | undefined
}

/** Keeps a connection to each bootstrap address for as long as the node lives, with a doubling pause between tries. */
export class BootstrapDialer {
  readonly #deps: BootstrapDeps
  readonly #targets: readonly Target[]

  constructor(deps: BootstrapDeps, addresses: readonly Multiaddr[]) {
    this.#deps = deps
    this.#targets = addresses.map(address => ({
      address,
      peer: address.getComponents().findLast(part => part.name === 'p2p')?.value,
      failures: 0,
      nextAt: 0,
      dialing: undefined,
    }))
  }

  /** Dials what is due. To be called often; returns at once. */
  tick(): void {
    const now = this.#deps.clock.now()
    for (const target of this.#targets) {
      const connected = target.peer !== undefined && this.#deps.isConnected(target.peer)
      if (connected || target.dialing !== undefined || target.nextAt > now) continue
      target.dialing = this.#dial(target).finally(() => {
        target.dialing = undefined
      })
    }
  }

  /** The peer is connected and of our network: its next loss is answered at once again. */
  joined(peer: string): void {
    for (const target of this.#targets) {
      if (target.peer === peer) Object.assign(target, { failures: 0, nextAt: 0 })
    }
  }

  /** Resolves when no dial is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#targets.map(target => target.dialing))
  }

  async #dial(target: Target): Promise<void> {
    try {
      target.peer = await this.#deps.dial(target.address)
    } catch (error) {
      const facts = { address: target.address.toString(), failures: target.failures + 1, reason: String(error) }
      // The first failure is news; an operator need not read of each later one.
      if (target.failures === 0) this.#deps.log.warn('bootstrap-unreachable', facts)
      else this.#deps.log.debug('bootstrap-unreachable', facts)
    }
    // Also after a success: a peer that hangs up at once (another network) must not be dialed in a loop.
    target.nextAt = this.#deps.clock.now() + Math.min(maxDelayMs, firstDelayMs * 2 ** target.failures)
    target.failures += 1
  }
}

import { setMaxListeners } from 'node:events'
import { type AbortOptions, sleep, throwIfAborted } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import { Slots } from '../../lib/slots.ts'
import type { Logger } from '../../lib/telemetry.ts'
import { verdictOf } from './verdict.ts'

type Outcome = 'told' | 'busy' | 'lied'

export interface RecordAskerDeps {
  readonly log: Logger
  isConnected(peer: string): boolean
  /** Asks a peer for its records and takes them in; tells how many there were. */
  ask(peer: string, options: AbortOptions): Promise<number>
}

/** Peers asked at once; the others wait for their turn, as many as there are connections. */
const maxAsks = 8

export interface RecordAskerOptions {
  /** Milliseconds before each further try with a peer that was busy, or did not answer. */
  readonly pausesMs: readonly number[]
  /**
   * Milliseconds until a peer that has answered is asked once more: what reaches it in the moment between its answer and
   * its gossip mesh with us would otherwise come only with the next refresh.
   */
  readonly againMs: number
}
const defaults: RecordAskerOptions = { pausesMs: [300, 600, 1_200, 2_400, 4_800], againMs: 1_500 }

/** Asks each peer that connects for the records it holds, until it has answered. */
export class RecordAsker {
  readonly #deps: RecordAskerDeps
  readonly #options: RecordAskerOptions
  readonly #slots = new Slots(maxAsks)
  readonly #running = new Map<string, Promise<void>>()
  #stopping = widelyHeard()

  constructor(deps: RecordAskerDeps, options = defaults) {
    this.#deps = deps
    this.#options = options
  }

  /** Returns at once. A peer that is being asked already is not asked twice. */
  joined(peer: string): void {
    if (this.#running.has(peer) || this.#stopping.signal.aborted) return
    const running = this.#attend(peer)
      .catch(() => undefined) // it was stopped
      .finally(() => this.#running.delete(peer))
    this.#running.set(peer, running)
  }

  start(): void {
    this.#stopping = widelyHeard()
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new AoError('STOPPING', 'no more peers are asked'))
    await Promise.all(this.#running.values())
  }

  async #attend(peer: string): Promise<void> {
    const { signal } = this.#stopping
    const { pausesMs, againMs } = this.#options
    let outcome: Outcome = 'busy'
    for (const pauseMs of [0, ...pausesMs]) {
      await sleep(pauseMs, { signal })
      if (!this.#deps.isConnected(peer)) return
      outcome = await this.#slots.run(() => this.#ask(peer))
      if (outcome !== 'busy') break
    }
    if (outcome !== 'told') return
    await sleep(againMs, { signal })
    if (this.#deps.isConnected(peer)) await this.#slots.run(() => this.#ask(peer))
  }

  async #ask(peer: string): Promise<Outcome> {
    const { signal } = this.#stopping
    try {
      throwIfAborted(signal)
      // Every node holds a record of itself: who tells nothing has no time.
      return (await this.#deps.ask(peer, { signal })) > 0 ? 'told' : 'busy'
    } catch (error) {
      this.#deps.log.debug('records-not-exchanged', { peer, reason: AoError.from(error).message })
      return verdictOf(error) === 'reject' ? 'lied' : 'busy'
    }
  }
}

/** Each peer that is being asked listens to the end. */
function widelyHeard(): AbortController {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  return controller
}

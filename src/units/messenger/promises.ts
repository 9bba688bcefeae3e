import { standingOf } from '../../economy/operators.ts'
import type { EconomyState } from '../../economy/state.ts'
import type { AbortOptions } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Component } from '../../lib/component.ts'
import { AoError, type ErrorFacts } from '../../lib/errors.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import { isReadable, maxItemBytes } from '../../modules/ao-sec-origin/items.ts'
import type { PromiseHead, PromiseStore } from '../../ports/promise-store.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { type DataItem, parseStoredItem } from '../../protocol/data-item.ts'
import { draftPromise } from '../../protocol/delivery-promise.ts'
import type { Id, MessageId, ProcessId } from '../../protocol/ids.ts'
import type { Signer } from '../../protocol/keys.ts'
import { failureFacts } from '../failure.ts'
import { Loop } from '../loop.ts'
import type { Routes } from '../routing/route.ts'

/** Where promises count: AO-Sec Origin, and the economy as this node has replayed it. */
export interface PromiseCourt {
  readonly origin: ProcessId
  readonly economy: { readonly state: EconomyState | undefined }
}
export interface PromisesDeps {
  readonly signer: Signer
  readonly store: PromiseStore
  /** Absent in a network without AO-Sec Origin: nothing is promised there. */
  readonly court: PromiseCourt | undefined
  readonly routes: Pick<Routes, 'process' | 'foreign'>
  readonly arweave: Pick<ArweaveClient, 'head'>
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Has a message ordered and pushes what it sets off. */
  readonly order: (item: DataItem, options: AbortOptions) => Promise<Assignment>
}
export interface PromisesOptions {
  /** Promised messages that are kept, ordered ones too, until nobody may ask for them any more. */
  readonly maxPromises: number
  readonly promisePollMs: number
  /** Between two tries of one message at the most. */
  readonly maxPromiseRetryMs: number
}

/** Tried in one round. */
const maxAtOnce = 16

interface Open extends PromiseHead {
  readonly tries: number
  readonly nextAt: number
}

/**
 * What an MU has promised to have ordered (F8). It answers at once, also while the target's SU does not.
 *
 * Invariant: a promise is shown to nobody before it is on disk with its message; both stay, with the Assignment, until
 * nobody may ask for them any more.
 */
export class Promises implements Component {
  readonly name = 'promises'
  readonly #deps: PromisesDeps
  readonly #options: PromisesOptions
  readonly #loop: Loop
  /** All that are kept; the open ones are tried. */
  readonly #kept = new Map<MessageId, Open>()

  constructor(deps: PromisesDeps, options: PromisesOptions) {
    this.#deps = deps
    this.#options = options
    const { log, metrics } = deps.telemetry
    this.#loop = Loop.every(options.promisePollMs, abort => this.tick(abort), log, this.name)
    metrics.gauge('aonet_messenger_promises', 'Promised messages that are kept', () => this.#kept.size)
    metrics.gauge(
      'aonet_messenger_promises_open',
      'Promised messages that are not ordered yet',
      () => [...this.#kept.values()].filter(({ isOrdered }) => !isOrdered).length,
    )
  }

  async start(): Promise<void> {
    for (const head of await this.#deps.store.heads()) this.#kept.set(head.message, { ...head, tries: 0, nextAt: 0 })
    if (this.#deps.court !== undefined) await this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /**
   * @param item a verified message.
   * @returns the signed Delivery-Promise: the same one for the same message.
   * @throws AoError `NOT_READY` without a stake that the promise could cost; `UNSUPPORTED` if nobody could be held to it;
   * `OVERLOADED`; `UNKNOWN_PROCESS`.
   */
  async give(item: DataItem, options: AbortOptions = {}): Promise<DataItem> {
    const { signer, store, arweave } = this.#deps
    const message = item.id as Id as MessageId
    const known = await store.get(message)
    if (known !== undefined) return parseStoredItem(known.promise)
    const { process, state } = await this.#assertPromisable(item, options)
    const { maxPromises } = this.#options
    if (this.#kept.size >= maxPromises) {
      const hint = 'Ask another MU, or send without a promise.'
      throw new AoError('OVERLOADED', 'this MU has promised enough', { limit: maxPromises }, { hint })
    }
    const { height } = await arweave.head(options)
    const deadline = height + state.params.deliveryBlocks
    const promise = await signer.sign(draftPromise({ process, message, deadline }))
    await store.put({ process, message, deadline, item: item.raw, promise: promise.raw, assignment: undefined })
    this.#kept.set(message, { process, message, deadline, isOrdered: false, tries: 0, nextAt: 0 })
    this.#loop.wake()
    return promise
  }

  /** What is to be shown of a promised message: the item, and its Assignment if it is ordered. */
  async shown(
    message: MessageId,
    options: AbortOptions = {},
  ): Promise<{ readonly item: DataItem; readonly assignment: Uint8Array | undefined } | undefined> {
    const row = await this.#deps.store.get(message)
    if (row === undefined) return undefined
    const item = parseStoredItem(row.item)
    // It may stand elsewhere by now, under another SU.
    const assignment = await this.#deps.order(item, options).then(
      ({ raw }) => raw,
      () => row.assignment,
    )
    return { item, assignment }
  }

  /** One round: has the next few ordered, and forgets what nobody may ask for any more. */
  async tick(options: AbortOptions = {}): Promise<void> {
    const now = this.#deps.clock.now()
    const due = [...this.#kept.values()].filter(({ isOrdered, nextAt }) => !isOrdered && nextAt <= now)
    await Promise.all(due.slice(0, maxAtOnce).map(one => this.#try(one, options)))
    const state = this.#deps.court?.economy.state
    if (state === undefined) return
    const { height } = state.clock.value
    for (const { message, deadline, isOrdered } of this.#kept.values()) {
      if (height <= deadline + state.params.evidenceAgeBlocks) continue
      if (!isOrdered) this.#deps.telemetry.log.error('promise-never-kept', { message })
      await this.#deps.store.remove(message)
      this.#kept.delete(message)
    }
  }

  async #try(one: Open, options: AbortOptions): Promise<void> {
    const { store, order, clock, telemetry } = this.#deps
    const { message } = one
    try {
      const row = await store.get(message)
      if (row === undefined) return
      const { raw } = await order(parseStoredItem(row.item), options)
      await store.put({ ...row, assignment: raw })
      this.#kept.set(message, { ...one, isOrdered: true })
    } catch (error) {
      if (options.signal?.aborted) return
      const { promisePollMs, maxPromiseRetryMs } = this.#options
      const pauseMs = Math.min(maxPromiseRetryMs, promisePollMs * 2 ** one.tries)
      this.#kept.set(message, { ...one, tries: one.tries + 1, nextAt: clock.now() + pauseMs })
      telemetry.log.warn('promised-message-not-ordered-yet', { message, tries: one.tries + 1, ...failureFacts(error) })
    }
  }

  /** Only what an honest MU can always answer for: if nobody orders it, it must be able to show it to AO-Sec Origin. */
  async #assertPromisable(
    item: DataItem,
    options: AbortOptions,
  ): Promise<{ readonly process: ProcessId; readonly state: EconomyState }> {
    const { court, signer, routes } = this.#deps
    const state = court?.economy.state
    const process = item.target
    if (court === undefined) throw unpromised('this network has no AO-Sec Origin', {})
    if (process === undefined) throw unpromised('only messages to a Process can be promised', {})
    if (process === court.origin)
      throw unpromised('AO-Sec Origin takes what is posted straight to Arweave', { process })
    if (state === undefined || standingOf(state, 'MU', signer.address) !== 'active') {
      const hint = 'Ask an MU with a stake, or send without a promise.'
      throw new AoError('NOT_READY', 'this MU has no stake that a promise could cost', {}, { hint })
    }
    if ((await routes.foreign(process, options)) !== undefined)
      throw unpromised('the Process is of another network', { process })
    assertShowable('the message', item)
    assertShowable('the Process item', (await routes.process(process, options)).item)
    return { process, state }
  }
}

function assertShowable(what: string, { raw }: DataItem): void {
  if (raw.length > maxItemBytes) throw unpromised(`${what} is too large`, { bytes: raw.length, limit: maxItemBytes })
  if (!isReadable(raw)) throw unpromised(`${what} is signed with neither RSA nor Ed25519`, {})
}

const unpromised = (why: string, facts: ErrorFacts): AoError =>
  new AoError('UNSUPPORTED', `delivery cannot be promised: ${why}`, facts, { hint: 'Send it without a promise.' })

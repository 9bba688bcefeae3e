import type { EconomyState } from '../../economy/state.ts'
import type { AbortOptions } from '../../lib/abort.ts'
import { sha256, toBase64Url, utf8 } from '../../lib/bytes.ts'
import type { Component } from '../../lib/component.ts'
import { retryAdvice } from '../../lib/errors.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { Scheduler } from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { packBundle } from '../../protocol/bundle.ts'
import { type DataItem, parseStoredItem } from '../../protocol/data-item.ts'
import type { Address, Id, ProcessId } from '../../protocol/ids.ts'
import { tagsOf } from '../../protocol/tags.ts'
import { failureFacts } from '../failure.ts'
import { Loop } from '../loop.ts'
import type { Routes } from '../routing/route.ts'
import type { EconomyFollower } from './follower.ts'
import type { OriginMail } from './origin-mail.ts'

export interface AccuserDeps {
  /** Whose bonds are locked: this node's own. */
  readonly address: Address
  readonly origin: ProcessId
  readonly economy: Pick<EconomyFollower, 'state' | 'hostOf'>
  readonly routes: Pick<Routes, 'process'>
  /** Routed: any Process of the network. */
  readonly scheduler: Pick<Scheduler, 'schedule'>
  readonly arweave: Pick<ArweaveClient, 'item' | 'head'>
  readonly mail: OriginMail
  readonly telemetry: Telemetry
}
export interface AccuserOptions {
  readonly pollMs: number
  /** Assignments that are looked for on Arweave later, and messages that were refused. More are let go. */
  readonly maxWatched: number
}
export const defaultAccuserOptions: AccuserOptions = { pollMs: 2000, maxWatched: 1000 }

interface Watched {
  readonly assignment: Assignment
}
interface Refused {
  readonly message: DataItem
  readonly process: ProcessId
  /** Height of the first look after it was refused. */
  since: number | undefined
}

/** Looked at in one round. */
const maxAtOnce = 16
/** Blocks over which the challenges of a network are spread: the first one is enough. */
const maxLot = 8
/** Blocks until the same is asked again. */
const askAgainBlocks = 60
/** Blocks that an Assignment may need, beyond the time it has, to be seen on Arweave. */
const patience = 4

/**
 * Asks an SU, in front of everybody, for what it owes: an Assignment that it has told and not published (F2), a message
 * that it does not order (F3). Each time the bond is this node's.
 */
export class Accuser implements Component {
  readonly name = 'accuser'
  readonly #deps: AccuserDeps
  readonly #options: AccuserOptions
  readonly #loop: Loop
  /** One for each SU and Process: an SU that does not publish leaves out all. */
  readonly #watched = new Map<string, Watched>()
  readonly #refused = new Map<string, Refused>()
  /** Height of the last challenge, by what it was about. */
  readonly #asked = new Map<string, number>()

  constructor(deps: AccuserDeps, options: AccuserOptions = defaultAccuserOptions) {
    this.#deps = deps
    this.#options = options
    this.#loop = Loop.every(options.pollMs, abort => this.tick(abort), deps.telemetry.log, this.name)
    deps.telemetry.metrics.gauge(
      'aonet_accuser_watched',
      'Assignments and refused messages looked after',
      () => this.#watched.size + this.#refused.size,
    )
  }

  start(): Promise<void> {
    return this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /** To be told of each Assignment that is seen. */
  onAssignment(assignment: Assignment): void {
    const { process, scheduler, message } = assignment
    this.#refused.delete(`${process} ${message}`)
    const key = `${scheduler} ${process}`
    if (process === this.#deps.origin || this.#watched.has(key)) return
    if (this.#watched.size < this.#options.maxWatched) this.#watched.set(key, { assignment })
  }

  /** To be told of each message that a Process's host did not take, though nothing is wrong with it. */
  onRefused(message: DataItem, error: unknown): void {
    const process = message.target
    if (process === undefined || process === this.#deps.origin) return
    if (retryAdvice(error) === 'no') return // something is wrong with the message
    const key = `${process} ${message.id}`
    if (this.#refused.has(key) || this.#refused.size >= this.#options.maxWatched) return
    this.#refused.set(key, { message, process, since: undefined })
  }

  /** One round: lets go of what has come, and asks for what is overdue. */
  async tick(options: AbortOptions = {}): Promise<void> {
    const { state } = this.#deps.economy
    if (state === undefined || this.#watched.size + this.#refused.size === 0) return
    const { height } = await this.#deps.arweave.head(options)
    const due = height - state.params.publicationBlocks - patience
    for (const [key, one] of inTurn(this.#watched, ({ assignment }) => assignment.blockHeight <= due)) {
      await this.#guarded(() => this.#lookAt(key, one, { state, height, ...options }))
    }
    for (const [key, one] of inTurn(this.#refused, () => true)) {
      await this.#guarded(() => this.#tryAgain(key, one, { state, height, ...options }))
    }
  }

  async #guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#deps.telemetry.log.debug('not-looked-after', failureFacts(error))
    }
  }

  async #lookAt(key: string, { assignment }: Watched, now: Now): Promise<void> {
    const { arweave, economy, routes } = this.#deps
    const { process, id, blockHeight, scheduler, epoch } = assignment
    if ((await arweave.item(id as string as Id, now)) !== undefined) {
      this.#watched.delete(key)
      return
    }
    const { item, spec } = await routes.process(process, now)
    const host = economy.hostOf(process, spec.scheduler)
    if (host?.scheduler !== scheduler || host.epoch !== epoch) {
      this.#watched.delete(key) // another hosts it by now: what was left out is dropped
      return
    }
    const due = blockHeight + now.state.params.publicationBlocks + patience
    await this.#ask(id, { kind: 'F2', accused: scheduler, process, due }, [parseStoredItem(assignment.raw), item], now)
  }

  async #tryAgain(key: string, one: Refused, now: Now): Promise<void> {
    const { message, process } = one
    one.since ??= now.height
    const { since } = one
    const { scheduler, routes, economy } = this.#deps
    try {
      await scheduler.schedule(message, now)
      this.#refused.delete(key)
      return
    } catch (error) {
      if (retryAdvice(error) === 'no') {
        this.#refused.delete(key)
        return
      }
    }
    const due = since + now.state.params.responseBlocks
    if (now.height < due) return
    const { item, spec } = await routes.process(process, now)
    const accused = economy.hostOf(process, spec.scheduler)?.scheduler
    if (accused !== undefined) await this.#ask(key, { kind: 'F3', accused, process, due }, [message, item], now)
  }

  /** Whoever comes first is enough: each node waits some blocks of its own, and looks whether somebody has asked. */
  async #ask(key: string, about: About, items: readonly DataItem[], { state, height, ...options }: Now): Promise<void> {
    const { address, mail, origin, telemetry } = this.#deps
    const { kind, accused, process, due } = about
    const lot = (sha256(utf8(`${address} ${key}`))[0] ?? 0) % maxLot
    if (accused === address || height < due + lot) return
    if (height < (this.#asked.get(key) ?? Number.NEGATIVE_INFINITY) + askAgainBlocks) return
    const isAsked = [...state.challenges.entries()].some(
      ([, row]) => row.accused === accused && row.process === process,
    )
    if (isAsked) return
    if (this.#asked.size >= this.#options.maxWatched) this.#asked.clear()
    this.#asked.set(key, height)
    const tags = tagsOf(['Action', 'Challenge'], ['Kind', kind], ['Accused', accused])
    await mail.send(origin, tags, toBase64Url(packBundle(items)), options)
    telemetry.log.warn('unit-challenged', { kind, accused, process })
  }
}

/** A few of those that are due; they go behind the others. */
function inTurn<V>(all: Map<string, V>, isDue: (one: V) => boolean): readonly (readonly [string, V])[] {
  const chosen: (readonly [string, V])[] = []
  for (const [key, one] of all) {
    if (chosen.length >= maxAtOnce) break
    if (isDue(one)) chosen.push([key, one])
  }
  for (const [key, one] of chosen) {
    all.delete(key)
    all.set(key, one)
  }
  return chosen
}

interface Now extends AbortOptions {
  readonly state: EconomyState
  readonly height: number
}
interface About {
  readonly kind: 'F2' | 'F3'
  readonly accused: Address
  readonly process: ProcessId
  /** Height from which it is overdue. */
  readonly due: number
}

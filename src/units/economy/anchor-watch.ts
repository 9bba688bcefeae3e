import { LRUCache } from 'lru-cache'
import { headerAt } from '../../economy/oracle.ts'
import type { EconomyState } from '../../economy/state.ts'
import type { AbortOptions } from '../../lib/abort.ts'
import type { Component } from '../../lib/component.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { Gossip } from '../../ports/peers.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { type Evidence, falseAnchor } from '../../protocol/evidence.ts'
import type { Address, ProcessId } from '../../protocol/ids.ts'
import { tagsOf } from '../../protocol/tags.ts'
import { Loop } from '../loop.ts'
import type { EconomyFollower } from './follower.ts'
import type { OriginMail } from './origin-mail.ts'

export interface AnchorWatchDeps {
  /** This node's own: it tells of blocks if the network's parameters name it as a reporter. */
  readonly address: Address
  readonly origin: ProcessId
  readonly economy: Pick<EconomyFollower, 'state'>
  readonly arweave: Pick<ArweaveClient, 'head' | 'block'>
  readonly gossip: Pick<Gossip, 'publish'>
  readonly mail: OriginMail
  readonly telemetry: Telemetry
  readonly onEvidence: (evidence: Evidence) => void
}
export interface AnchorWatchOptions {
  readonly pollMs: number
  /** Anchors that are looked at later, and those of one SU. More are let go. */
  readonly maxWatched: number
  readonly maxOfOne: number
}
export const defaultAnchorWatchOptions: AnchorWatchOptions = { pollMs: 5000, maxWatched: 1000, maxOfOne: 16 }

/** Blocks asked for in one round. */
const maxAtOnce = 16
/** Blocks after which a reporter's word that did not show is said again. */
const resendBlocks = 20

interface Anchor {
  readonly assignment: Assignment
  /** Hash of the block that is at that height, once it was found to be another. */
  block?: string
}

/**
 * Looks whether the blocks that staked SUs name in their Assignments stand on Arweave (F9). Where one does not, reporters
 * tell AO-Sec Origin of the block that does, and once enough of them have, the evidence is there.
 */
export class AnchorWatch implements Component {
  readonly name = 'anchor watch'
  readonly #deps: AnchorWatchDeps
  readonly #options: AnchorWatchOptions
  readonly #loop: Loop
  readonly #anchors = new Map<string, Anchor>()
  readonly #ofOne = new Map<Address, number>()
  /** Anchors that were found to be right: nearly all Assignments name one of the last few. */
  readonly #right = new LRUCache<string, true>({ max: 1_000 })
  /** When this node told of a block, by its height. */
  readonly #reported = new LRUCache<number, number>({ max: 1_000 })

  constructor(deps: AnchorWatchDeps, options: AnchorWatchOptions = defaultAnchorWatchOptions) {
    this.#deps = deps
    this.#options = options
    this.#loop = Loop.every(options.pollMs, abort => this.tick(abort), deps.telemetry.log, this.name)
    deps.telemetry.metrics.gauge(
      'aonet_anchors_watched',
      'Blocks named by SUs that are not settled yet, or are wrong',
      () => this.#anchors.size,
    )
  }

  start(): Promise<void> {
    return this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /** To be told of each Assignment that is seen. Of an SU without a stake there is nothing to take. */
  onAssignment(assignment: Assignment): void {
    const { scheduler, blockHeight, blockHash } = assignment
    const { state } = this.#deps.economy
    if (
      state === undefined ||
      isTooOld(state, blockHeight) ||
      this.#right.has(`${blockHeight} ${blockHash}`) ||
      !isLiable(state, scheduler)
    )
      return
    const key = `${scheduler} ${blockHeight} ${blockHash}`
    const ofOne = this.#ofOne.get(scheduler) ?? 0
    const { maxWatched, maxOfOne } = this.#options
    if (this.#anchors.has(key) || this.#anchors.size >= maxWatched || ofOne >= maxOfOne) return
    this.#anchors.set(key, { assignment })
    this.#ofOne.set(scheduler, ofOne + 1)
  }

  /** One round: compares what has settled since, and moves what is wrong on. */
  async tick(options: AbortOptions = {}): Promise<void> {
    const { arweave, economy } = this.#deps
    const { state } = economy
    if (state === undefined || this.#anchors.size === 0) return
    const { settlementDepth } = state.params
    const { height } = await arweave.head(options)
    const asked = new Map<number, string | undefined>()
    for (const [key, anchor] of this.#anchors) {
      const { blockHeight, blockHash, scheduler } = anchor.assignment
      if (!isLiable(state, scheduler) || isTooOld(state, blockHeight)) this.#drop(key, anchor)
      else if (blockHeight <= height - settlementDepth) {
        if (anchor.block === undefined && !asked.has(blockHeight) && asked.size < maxAtOnce)
          asked.set(blockHeight, (await arweave.block(blockHeight, options))?.hash)
        const block = anchor.block ?? asked.get(blockHeight)
        if (block === undefined) continue // not asked for in this round, or the gateway does not have it now
        if (block === blockHash) {
          this.#right.set(`${blockHeight} ${blockHash}`, true)
          this.#drop(key, anchor)
        } else {
          if (anchor.block === undefined) await this.#found(anchor, block)
          await this.#prove(key, { ...anchor, block }, { state, ...options })
        }
      }
    }
  }

  /** Tells the others: those who report blocks have to see it too. */
  async #found(anchor: Anchor, block: string): Promise<void> {
    const { gossip, telemetry } = this.#deps
    const { scheduler: unit, process, blockHeight: height, blockHash: hash, raw } = anchor.assignment
    anchor.block = block
    telemetry.log.error('false-anchor', { unit, process, height, hash, block })
    await gossip.publish('assignments', raw)
  }

  /** Whether it is false is for the reporters to say: this node's gateway may be wrong. */
  async #prove(
    key: string,
    anchor: Anchor & { readonly block: string },
    { state, ...options }: AbortOptions & { readonly state: EconomyState },
  ): Promise<void> {
    const { blockHeight, blockHash } = anchor.assignment
    const known = headerAt(state, blockHeight)
    if (known === undefined) return this.#report(blockHeight, anchor.block, { state, ...options })
    this.#drop(key, anchor)
    if (known !== blockHash) this.#deps.onEvidence(falseAnchor(anchor.assignment, known))
  }

  /** A reporter's word about the block at a height; nothing from anybody else. */
  async #report(
    at: number,
    hash: string,
    { state, ...options }: AbortOptions & { readonly state: EconomyState },
  ): Promise<void> {
    const { address, origin, mail } = this.#deps
    const { reporters, headerBlocks } = state.params.oracle
    const { height } = state.clock.value
    if (!reporters.includes(address) || at > height || at <= height - headerBlocks) return
    const word = state.votes.get(`header ${at % headerBlocks} ${address}`)
    if ((word?.cycle ?? 0) >= at || height < (this.#reported.get(at) ?? Number.NEGATIVE_INFINITY) + resendBlocks) return
    this.#reported.set(at, height)
    await mail.send(origin, tagsOf(['Action', 'Header-Report'], ['Height', String(at)], ['Hash', hash]), ' ', options)
  }

  #drop(key: string, { assignment: { scheduler } }: Anchor): void {
    if (!this.#anchors.delete(key)) return
    const left = (this.#ofOne.get(scheduler) ?? 1) - 1
    if (left === 0) this.#ofOne.delete(scheduler)
    else this.#ofOne.set(scheduler, left)
  }
}

const isTooOld = ({ params, clock }: EconomyState, height: number): boolean =>
  height < clock.value.height - params.evidenceAgeBlocks

/** Whether it has something to lose for a false anchor: one offence in a window is the most it pays for. */
function isLiable(state: EconomyState, scheduler: Address): boolean {
  const key = `SU ${scheduler}`
  const offence = state.offences.get(`${key} anchor`)
  const isOpen = offence !== undefined && offence.at + state.params.correlationBlocks >= state.clock.value.height
  return !isOpen && state.operators.has(key) && state.holds.get(key)?.tombstoned !== true
}

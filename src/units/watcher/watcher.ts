import { LRUCache } from 'lru-cache'
import type { Component } from '../../lib/component.ts'
import { retryAdvice } from '../../lib/errors.ts'
import type { Counter, Telemetry } from '../../lib/telemetry.ts'
import type { Gossip, PeerDirectory, Verdict } from '../../ports/peers.ts'
import { type Assignment, parseAssignment } from '../../protocol/assignment.ts'
import { type Attestation, parseAttestation } from '../../protocol/attestation.ts'
import { type DataItem, verifyDataItem } from '../../protocol/data-item.ts'
import { type Evidence, findFault, verifyEvidence } from '../../protocol/evidence.ts'
import type { Address, ProcessId } from '../../protocol/ids.ts'
import type { UnitRole } from '../../protocol/unit-record.ts'
import { failureFacts } from '../failure.ts'
import { differs } from './divergence.ts'
import { faultOf } from './equivocation.ts'

export interface WatcherDeps {
  readonly gossip: Gossip
  readonly directory: PeerDirectory
  readonly telemetry: Telemetry
  /** Told of each new Assignment that was judged good: the CU brings warm Processes up to date by it. */
  readonly onAssignment?: ((assignment: Assignment) => void) | undefined
  /** `first`: of two Assignments for one place the one that was seen before the other. */
  readonly onEvidence?: ((evidence: Evidence & { readonly first?: string | undefined }) => void) | undefined
}
export interface WatcherOptions {
  /** Statements remembered, of each kind. */
  readonly maxRemembered: number
  readonly maxEvidence: number
  /** Assignments and attestations are tags and a signature, nothing large. */
  readonly maxItemBytes: number
}
export const defaultWatcherOptions: WatcherOptions = {
  maxRemembered: 20_000, // an LRUCache takes its memory at once
  maxEvidence: 1_000,
  maxItemBytes: 8 * 1024, // 4096 bytes of tags and an RSA key with its signature
}

/** Judges what gossip tells of Assignments and Attestations, and keeps what two of one signer cannot both be true. */
export class Watcher implements Component {
  readonly name = 'watcher'
  readonly #deps: WatcherDeps
  readonly #options: WatcherOptions
  readonly #assignments: LRUCache<string, Assignment>
  /** What was shown to this node alone: compared with what is told to all. */
  readonly #shown: LRUCache<string, Assignment>
  /** By scheduler and Process: what a scheduler whose data is an old copy is reminded of. */
  readonly #newest: LRUCache<string, Assignment>
  readonly #attestations: LRUCache<string, Attestation>
  /** The first Attestation of each nonce, whoever signed it. */
  readonly #firsts: LRUCache<string, Attestation>
  readonly #accused: LRUCache<string, true>
  readonly #evidence: Evidence[] = []
  readonly #judged: Counter
  #unsubscribe: readonly (() => void)[] = []

  constructor(deps: WatcherDeps, options: WatcherOptions = defaultWatcherOptions) {
    this.#deps = deps
    this.#options = options
    const max = options.maxRemembered
    this.#assignments = new LRUCache({ max })
    this.#shown = new LRUCache({ max: Math.ceil(max / 10) })
    this.#newest = new LRUCache({ max })
    this.#attestations = new LRUCache({ max })
    this.#firsts = new LRUCache({ max })
    this.#accused = new LRUCache({ max: options.maxEvidence })
    const { metrics } = deps.telemetry
    this.#judged = metrics.counter('aonet_watcher_judged_total', 'Gossiped statements by verdict', ['verdict'])
    metrics.gauge('aonet_watcher_evidence', 'Pieces of evidence kept', () => this.#evidence.length)
  }

  async start(): Promise<void> {
    if (this.#unsubscribe.length > 0) return
    const { gossip } = this.#deps
    this.#unsubscribe = [
      gossip.subscribe('assignments', bytes => this.#judge(bytes, item => this.#onAssignment(item))),
      gossip.subscribe('attestations', bytes => this.#judge(bytes, item => this.#onAttestation(item))),
    ]
  }

  async stop(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe()
    this.#unsubscribe = []
  }

  /**
   * To be told of an Assignment that an SU answers with or has in a schedule. It may differ from what it tells the others.
   *
   * @param after the one before, if it does not follow that.
   */
  onShown(assignment: Assignment, after?: Assignment): void {
    const { scheduler, process, epoch, nonce, id } = assignment
    const key = placeOf(process, epoch, nonce, scheduler)
    const told = this.#assignments.get(key) ?? this.#shown.get(key)
    if (told === undefined) this.#shown.set(key, assignment)
    let fault = told === undefined || told.id === id ? undefined : findFault(told, assignment)
    if (after !== undefined) fault ??= findFault(after, assignment)
    if (fault !== undefined && !this.#accused.has(key)) void this.#tellAll(key, fault, told?.id)
  }

  /** Whoever passed it on may have changed it: an accusation costs a bond if the signatures are wrong. */
  async #tellAll(key: string, fault: Evidence, first: string | undefined): Promise<void> {
    try {
      await verifyEvidence(fault)
      if (this.#accuse(key, fault, first) === 'accept') await this.#deps.gossip.publish('assignments', ...fault.proof)
    } catch (error) {
      this.#shown.delete(key)
      this.#deps.telemetry.log.warn('contradiction-not-proven', { about: key, ...failureFacts(error) })
    }
  }

  /** What was found since the start, newest last; the oldest goes when the list is full. */
  evidence(): readonly Evidence[] {
    return this.#evidence
  }

  /** The newest Assignment seen of each Process that this scheduler orders, the latest first. */
  recall(scheduler: Address, limit: number): readonly Assignment[] {
    const found: Assignment[] = []
    for (const assignment of this.#newest.values()) {
      if (found.length >= limit) break
      if (assignment.scheduler === scheduler) found.push(assignment)
    }
    return found
  }

  /** An invalid statement is its sender's fault; one by a unit that is not known here may be good elsewhere. */
  async #judge(bytes: Uint8Array, take: (item: DataItem) => Verdict): Promise<Verdict> {
    let verdict: Verdict
    try {
      verdict = take(await verifyDataItem(bytes, { maxBytes: this.#options.maxItemBytes }))
    } catch (error) {
      this.#deps.telemetry.log.debug('gossip-refused', failureFacts(error))
      verdict = retryAdvice(error) === 'no' ? 'reject' : 'ignore'
    }
    this.#judged.add(1, { verdict })
    return verdict
  }

  #onAssignment(item: DataItem): Verdict {
    const assignment = parseAssignment(item)
    const { scheduler, process, epoch, nonce } = assignment
    if (!this.#offers(scheduler, 'SU')) return 'ignore'
    const keyAt = (at: number): string => placeOf(process, epoch, at, scheduler)
    const key = keyAt(nonce)
    const before = this.#assignments.get(key)
    if (before?.id === assignment.id) return 'ignore' // in other company it would go round again
    const fault = faultOf(assignment, at => this.#assignments.get(keyAt(at)))
    if (fault !== undefined) return this.#accuse(key, fault, before?.id)
    if (before !== undefined) return 'ignore' // the same order in other words proves nothing, and is nothing new
    this.#assignments.set(key, assignment)
    const shown = this.#shown.get(key)
    if (shown !== undefined && shown.id !== assignment.id) this.onShown(shown)
    const own = `${scheduler} ${process}`
    if ((this.#newest.get(own)?.nonce ?? -1) < nonce) this.#newest.set(own, assignment)
    this.#deps.onAssignment?.(assignment)
    return 'accept'
  }

  #onAttestation(item: DataItem): Verdict {
    const attestation = parseAttestation(item)
    const { compute, process, epoch, nonce } = attestation
    if (!this.#offers(compute, 'CU')) return 'ignore'
    const place = `${process} ${epoch} ${nonce}`
    const key = `${place} ${compute}`
    const before = this.#attestations.get(key)
    if (before?.id === attestation.id) return 'ignore'
    if (before !== undefined) return this.#accuse(key, findFault(before, attestation))
    this.#attestations.set(key, attestation)
    this.#compare(place, attestation)
    return 'accept'
  }

  /** Two CUs that differ: one of them is wrong, and which one only a re-execution tells. */
  #compare(place: string, attestation: Attestation): void {
    const first = this.#firsts.get(place)
    if (first === undefined) this.#firsts.set(place, attestation)
    else if (differs(first, attestation)) {
      const { process, nonce, compute } = attestation
      const facts = {
        process,
        nonce,
        first: first.compute,
        firstId: first.id,
        second: compute,
        secondId: attestation.id,
      }
      this.#deps.telemetry.log.warn('divergence', facts)
    }
  }

  /** The first contradiction is spread on, so that everybody sees it, and told; more of the same add nothing. */
  #accuse(key: string, evidence: Evidence | undefined, first?: string): Verdict {
    if (evidence === undefined || this.#accused.has(key)) return 'ignore'
    this.#accused.set(key, true)
    this.#evidence.push(evidence)
    if (this.#evidence.length > this.#options.maxEvidence) this.#evidence.shift()
    this.#deps.telemetry.log.error('equivocation', { unit: evidence.unit, kind: evidence.kind, about: key })
    this.#deps.onEvidence?.({ ...evidence, first })
    return 'accept'
  }

  #offers(address: Address, role: UnitRole): boolean {
    return this.#deps.directory.get(address)?.roles.includes(role) ?? false
  }
}

const placeOf = (process: ProcessId, epoch: number, nonce: number, scheduler: Address): string =>
  `${process} ${epoch} ${nonce} ${scheduler}`

import { commitmentOf } from '../../economy/commits.ts'
import type { EconomyState } from '../../economy/state.ts'
import type { AbortOptions } from '../../lib/abort.ts'
import { sha256, toBase64Url, utf8 } from '../../lib/bytes.ts'
import type { Component } from '../../lib/component.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { EvidenceFiles } from '../../ports/evidence-files.ts'
import { packBundle } from '../../protocol/bundle.ts'
import { parseStoredItem } from '../../protocol/data-item.ts'
import { draftEvidence, type Evidence, evidenceDigest } from '../../protocol/evidence.ts'
import type { Id, ProcessId } from '../../protocol/ids.ts'
import type { Signer } from '../../protocol/keys.ts'
import { tagsOf } from '../../protocol/tags.ts'
import { failureFacts } from '../failure.ts'
import { Loop } from '../loop.ts'
import type { OriginMail } from './origin-mail.ts'

export interface EvidenceDeskDeps {
  readonly signer: Signer
  readonly files: EvidenceFiles
  readonly mail: OriginMail
  readonly telemetry: Telemetry
  /** AO-Sec Origin and the economy as this node has replayed it; absent where nobody is to be told. */
  readonly court?: Court | undefined
}
export interface Court {
  readonly origin: ProcessId
  state(): EconomyState | undefined
  /** Whether an Assignment lies on Arweave: of two for one place that one counts. */
  isPublished(id: Id, options: AbortOptions): Promise<boolean>
  /** Height of the newest block. */
  height(options: AbortOptions): Promise<number>
}
export interface EvidenceDeskOptions {
  readonly pollMs: number
  /** Cases that wait for a verdict; more are still written to disk. */
  readonly maxOpen: number
}
export const defaultEvidenceDeskOptions: EvidenceDeskOptions = { pollMs: 2000, maxOpen: 100 }

/** One piece of evidence on its way to a verdict, and how far it came: what was sent at which height. */
/** `first`: of two Assignments the one that was seen before the other. */
type Filed = Evidence & { readonly first?: string | undefined }
interface Case {
  readonly evidence: Filed
  readonly digest: Id
  committedAt?: number
  submittedAt?: number
}

/** Blocks over which the reminders of a network are spread. */
const maxLot = 8
/** Blocks after which what was sent and did not show is sent again. */
const resendBlocks = 20

/**
 * Files what the watcher finds, and takes it to AO-Sec Origin: commits, waits, shows. Where each case stands is read from
 * the replayed economy, so that a restart, or a message that got lost, changes nothing but time.
 */
export class EvidenceDesk implements Component {
  readonly name = 'evidence desk'
  readonly #deps: EvidenceDeskDeps
  readonly #options: EvidenceDeskOptions
  readonly #cases = new Map<Id, Case>()
  readonly #loop: Loop
  #reminded = -1

  constructor(deps: EvidenceDeskDeps, options: EvidenceDeskOptions = defaultEvidenceDeskOptions) {
    this.#deps = deps
    this.#options = options
    this.#loop = Loop.every(options.pollMs, abort => this.tick(abort), deps.telemetry.log, this.name)
    deps.telemetry.metrics.gauge(
      'aonet_evidence_open',
      'Pieces of evidence without a verdict yet',
      () => this.#cases.size,
    )
  }

  async start(): Promise<void> {
    for (const evidence of await this.#deps.files.all()) this.#open(evidence)
    await this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /** Signs the evidence, writes its file, and opens the case. */
  async file(evidence: Filed): Promise<void> {
    const digest = evidenceDigest(evidence)
    try {
      const item = await this.#deps.signer.sign(draftEvidence(evidence))
      await this.#deps.files.put(digest, item)
      this.#deps.telemetry.log.warn('evidence-filed', { kind: evidence.kind, unit: evidence.unit, digest })
    } catch (error) {
      this.#deps.telemetry.log.error('evidence-not-filed', { digest, ...failureFacts(error) })
    }
    this.#open(evidence)
    this.#loop.wake()
  }

  /** One round: moves each case on by what the economy shows. */
  async tick(options: AbortOptions = {}): Promise<void> {
    const { court } = this.#deps
    const state = court?.state()
    if (court === undefined || state === undefined) return
    for (const one of [...this.#cases.values()]) await this.#advance(one, state, court.origin, options)
    await this.#remind(court, state, options)
  }

  /**
   * What is due happens with the next message, and perhaps there is none. Each node waits some blocks of its own before it
   * sends one, so that not all do.
   */
  async #remind(court: Court, state: EconomyState, options: AbortOptions): Promise<void> {
    const due = state.nextDue.value
    if (due > Number.MAX_SAFE_INTEGER - maxLot || this.#reminded === due) return
    const lot = (sha256(utf8(`${this.#deps.signer.address} ${due}`))[0] ?? 0) % maxLot
    if ((await court.height(options)) < due + lot) return
    this.#reminded = due
    await this.#deps.mail.send(court.origin, tagsOf(['Action', 'Execute-Slash']), ' ', options)
  }

  #open(evidence: Filed): void {
    const digest = evidenceDigest(evidence)
    if (this.#deps.court === undefined || this.#cases.size >= this.#options.maxOpen || this.#cases.has(digest)) return
    this.#cases.set(digest, { evidence, digest })
  }

  async #advance(one: Case, state: EconomyState, origin: ProcessId, options: AbortOptions): Promise<void> {
    const { signer, telemetry } = this.#deps
    const { digest, evidence } = one
    if (state.verdicts.has(digest)) {
      this.#cases.delete(digest)
      telemetry.log.warn('verdict', { digest, kind: evidence.kind, unit: evidence.unit })
      return
    }
    const { height } = state.clock.value
    const salt = await this.#saltOf(digest)
    const commitment = commitmentOf(digest, salt, signer.address)
    const committed = state.commits.get(`${signer.address} ${commitment}`)
    const lately = (at: number | undefined): boolean => at !== undefined && height < at + resendBlocks
    if (committed === undefined) {
      if (lately(one.committedAt) || lately(one.submittedAt)) return
      one.committedAt = height
      await this.#deps.mail.send(origin, tagsOf(['Action', 'Commit-Evidence'], ['Digest', commitment]), ' ', options)
    } else if (!lately(one.submittedAt)) {
      one.submittedAt = height
      const { kind, unit, process, proof } = evidence
      const tags = tagsOf(
        ['Action', 'Submit-Evidence'],
        ['Kind', kind],
        ['Unit', unit],
        ['Process', process],
        ['Salt', salt],
        ['Selected', await this.#selected(evidence, options)],
      )
      await this.#deps.mail.send(origin, tags, toBase64Url(packBundle(proof.map(parseStoredItem))), options)
    }
  }

  /** Which of two Assignments for one place is to count: the one that was published, else the one that was seen first. */
  async #selected({ kind, proof, first }: Filed, options: AbortOptions): Promise<string | undefined> {
    if (kind !== 'F1') return undefined
    for (const { id } of proof.map(parseStoredItem)) {
      if (await this.#deps.court?.isPublished(id, options).catch(() => false)) return id
    }
    return first
  }

  /** Nobody else can work it out, and after a restart it is the same: the id of an item that is never published. */
  async #saltOf(digest: Id): Promise<string> {
    const draft = { tags: tagsOf(['Type', 'Evidence-Salt'], ['Digest', digest]), data: new Uint8Array(0) }
    return (await this.#deps.signer.sign(draft)).id
  }
}

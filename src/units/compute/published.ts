import { LRUCache } from 'lru-cache'
import type { AbortOptions } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { AoError } from '../../lib/errors.ts'
import type { Counter, Telemetry } from '../../lib/telemetry.ts'
import type { Checkpoint } from '../../ports/checkpoint-store.ts'
import type { HostTable } from '../../ports/hosts.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { Scheduler } from '../../ports/units.ts'
import { type Assignment, parseAssignment } from '../../protocol/assignment.ts'
import {
  checkpointTags,
  draftCheckpoint,
  type PublishedCheckpoint,
  parseCheckpoint,
} from '../../protocol/checkpoint-item.ts'
import { cronText } from '../../protocol/cron.ts'
import { type DataItem, verifyDataItem } from '../../protocol/data-item.ts'
import { type Address, type Id, idToBytes, type ProcessId } from '../../protocol/ids.ts'
import type { Signer } from '../../protocol/keys.ts'
import { stateRootOf } from '../../protocol/state-root.ts'
import { failureFacts } from '../failure.ts'
import type { ProcessRoute } from '../routing/route.ts'
import { packMemory, unpackMemory } from './full-memory.ts'
import { cronOf } from './notes.ts'

export interface PublishedDeps {
  readonly signer: Signer
  readonly arweave: ArweaveClient
  readonly hosts?: HostTable | undefined
  readonly clock: Clock
  /** The gas rules of the network. */
  readonly meter: string
  readonly maxMemoryBytes: number
  readonly telemetry: Telemetry
}

export interface PublishedOptions {
  /** The least time between two of one Process, in milliseconds; 0: none is published. */
  readonly publishEveryMs: number
  /** Whose checkpoints are used beside this CU's own. */
  readonly trustedOwners: readonly Address[]
}

/** Processes whose last publication is remembered; one that was forgotten may be published a little early. */
const maxRemembered = 10_000
/** Of one owner, looked at for a cold start. */
const maxCandidates = 5

/**
 * Checkpoints on Arweave, for a CU that lost its disk and for those that trust its word.
 *
 * Invariant: one is used only if its signer is this CU or is named in the configuration, its pages give the state root
 * that was signed, and the scheduler shows the Assignment it stands at: the schedule is checked from there on.
 */
export class PublishedCheckpoints {
  readonly #deps: PublishedDeps
  readonly #options: PublishedOptions
  readonly #publishedAt = new LRUCache<ProcessId, number>({ max: maxRemembered })
  readonly #count: Counter
  #publishing: Promise<void> | undefined

  constructor(deps: PublishedDeps, options: PublishedOptions) {
    this.#deps = deps
    this.#options = options
    const { metrics } = deps.telemetry
    this.#count = metrics.counter('aonet_checkpoints_published_total', 'Checkpoints handed to Arweave', ['outcome'])
  }

  /** Whether any is read back: only who publishes or trusts somebody does. */
  get readsBack(): boolean {
    return this.#options.publishEveryMs > 0 || this.#options.trustedOwners.length > 0
  }

  /** Publishes it if one of its Process is due and no other is under way. Nothing waits for it. */
  offer(checkpoint: Checkpoint): void {
    const { publishEveryMs } = this.#options
    const { process } = checkpoint.assignment
    const last = this.#publishedAt.get(process) ?? Number.NEGATIVE_INFINITY
    const now = this.#deps.clock.now()
    if (publishEveryMs === 0 || this.#publishing !== undefined || now - last < publishEveryMs) return
    this.#publishedAt.set(process, now)
    this.#publishing = this.#publish(checkpoint).finally(() => {
      this.#publishing = undefined
    })
  }

  /** Resolves when nothing is under way. */
  async stop(): Promise<void> {
    await this.#publishing
  }

  /** Those of trusted owners for that Process, newest first by each owner. */
  async *usable(route: ProcessRoute, scheduler: Scheduler, options: AbortOptions): AsyncIterable<Checkpoint> {
    if (!this.readsBack) return
    const process = route.item.id as Id as ProcessId
    for (const owner of new Set([this.#deps.signer.address, ...this.#options.trustedOwners])) {
      for (const id of await this.#candidates(owner, process, options)) {
        try {
          yield await this.#read(id, { owner, process, route, scheduler }, options)
        } catch (error) {
          const facts = { process, id, owner, ...failureFacts(error) }
          this.#deps.telemetry.log.warn('published-checkpoint-not-used', facts)
        }
      }
    }
  }

  async #candidates(owner: Address, process: ProcessId, { signal }: AbortOptions): Promise<readonly Id[]> {
    const { arweave, telemetry } = this.#deps
    try {
      const found = await arweave.signedBy(owner, checkpointTags(process), { limit: maxCandidates, signal })
      return found.map(({ id }) => id)
    } catch (error) {
      telemetry.log.warn('published-checkpoints-unreadable', { process, owner, ...failureFacts(error) })
      return []
    }
  }

  async #publish(checkpoint: Checkpoint): Promise<void> {
    const { signer, arweave, telemetry } = this.#deps
    const { assignment, module, meter, attestedRoot, notes, image } = checkpoint
    try {
      const { data, sha256 } = await packMemory(image)
      const { memoryBytes, globals, applied, counters, stateRoot } = image
      const rest = { memoryBytes, globals, applied, attestedRoot, meter, counters, notes }
      const item = await signer.sign(
        draftCheckpoint({ assignment, cron: cronOf(notes), module, sha256, stateRoot, rest, data }),
      )
      await arweave.upload(item)
      this.#count.add(1, { outcome: 'done' })
    } catch (error) {
      this.#count.add(1, { outcome: 'failed' })
      telemetry.log.warn('checkpoint-not-published', { process: assignment.process, ...failureFacts(error) })
    }
  }

  async #read(
    id: Id,
    at: { owner: Address; process: ProcessId; route: ProcessRoute; scheduler: Scheduler },
    options: AbortOptions,
  ): Promise<Checkpoint> {
    const item = await this.#deps.arweave.item(id, options)
    if (item === undefined) throw unfit('it is not there')
    const said = parseCheckpoint(await verifyDataItem(item.raw, { maxBytes: item.raw.length }))
    if (said.owner !== at.owner) throw unfit('another signed it')
    if (said.process !== at.process || said.module !== at.route.spec.module) throw unfit('it is of another Process')
    if (said.rest.meter !== this.#deps.meter) throw unfit('it was made under other gas rules')
    if (said.rest.memoryBytes > this.#deps.maxMemoryBytes) throw unfit('it is larger than a Process may be')
    const places = [said.cron, cronOf(said.rest.notes)].map(cron => cron && cronText(cron))
    if (places[0] !== places[1]) throw unfit('its tags tell of another place than its state')
    const assignment = await this.#assignment(said, at, options)
    return checkpointFrom(item, said, assignment)
  }

  async #assignment(
    said: PublishedCheckpoint,
    { route, scheduler, process }: { route: ProcessRoute; scheduler: Scheduler; process: ProcessId },
    options: AbortOptions,
  ): Promise<Assignment> {
    const shown = await scheduler.assignment(process, said.nonce, options)
    const assignment = parseAssignment(await verifyDataItem(shown.raw))
    const fits =
      assignment.id === said.assignment &&
      assignment.hashChain === said.hashChain &&
      (this.#deps.hosts?.judge(assignment, route.spec.scheduler) === 'stands' ||
        assignment.scheduler === route.spec.scheduler) &&
      assignment.process === process &&
      assignment.nonce === said.nonce
    if (!fits) throw unfit('the scheduler shows another Assignment there')
    return assignment
  }
}

async function checkpointFrom(item: DataItem, said: PublishedCheckpoint, assignment: Assignment): Promise<Checkpoint> {
  const { memoryBytes, globals, applied, counters, attestedRoot, meter, notes } = said.rest
  const pages = await unpackMemory(item.data, { memoryBytes, sha256: said.sha256 })
  const stateRoot = stateRootOf({ memoryBytes, globals, pages: pages.map(page => [page.index, idToBytes(page.hash)]) })
  if (stateRoot !== said.stateRoot) throw unfit('its pages do not give the state root that was signed')
  const image = { memoryBytes, globals, pages, stateRoot, applied, counters }
  return { module: said.module, meter, assignment, attestedRoot, image, notes }
}

const unfit = (what: string): AoError => new AoError('INVALID_RECORD', `the checkpoint does not fit: ${what}`)

import type { AbortOptions } from '../../lib/abort.ts'
import type { Component } from '../../lib/component.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import { failpoint } from '../../lib/failpoint.ts'
import { Slots } from '../../lib/slots.ts'
import type { Counter, Histogram, Telemetry } from '../../lib/telemetry.ts'
import type { Checkpoint, CheckpointStore, CheckpointTotals } from '../../ports/checkpoint-store.ts'
import type { ResultStore, StoredResult } from '../../ports/result-store.ts'
import type { Scheduler } from '../../ports/units.ts'
import { parseAttestation } from '../../protocol/attestation.ts'
import { comparePlaces, type Placed } from '../../protocol/cron.ts'
import { verifyDataItem } from '../../protocol/data-item.ts'
import type { Address, Id, ModuleId, Nonce, ProcessId } from '../../protocol/ids.ts'
import { failureFacts } from '../failure.ts'
import { Loop } from '../loop.ts'
import type { ProcessRoute } from '../routing/route.ts'
import { cronOf } from './notes.ts'
import type { PublishedCheckpoints } from './published.ts'
import { keepNewest, keepSpaced } from './retention.ts'

export interface CheckpointsDeps {
  readonly store: CheckpointStore
  readonly results: ResultStore
  readonly published: PublishedCheckpoints
  /** Whose attestations a checkpoint must fit: this CU's. */
  readonly address: Address
  /** The gas rules of the network. */
  readonly meter: string
  readonly telemetry: Telemetry
}

export interface CheckpointsOptions {
  /** Saved at once. Each holds a copy of a state in memory until it is on disk. */
  readonly maxSaving: number
  /** On disk. Beyond it only the newest checkpoint of a Process is kept, a quarter beyond it none is added. */
  readonly maxCheckpointBytes: number
  readonly sweepEveryMs: number
  /** Rows that one step of the sweep looks at. */
  readonly sweepRows: number
}

/** Why a checkpoint was not used: `damaged` on disk, `unfit` for what this CU signed, or refused as `image` by the VM. */
export type Refusal = 'damaged' | 'unfit' | 'image'

/** Times of a save, in seconds. */
const saveBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]

/**
 * The checkpoints of this CU: saved at the side of the evaluation, and found again for a cold start.
 *
 * Invariant: a checkpoint is used only if this CU has signed what it stands for: the Result of its nonce is stored, with
 * the same Assignment and state root. Whatever is wrong with one costs time, never truth: an older one, in the end
 * nonce 0, gives the same.
 */
export class Checkpoints implements Component {
  readonly name = 'checkpoints'
  readonly #deps: CheckpointsDeps
  readonly #options: CheckpointsOptions
  readonly #slots: Slots
  readonly #loop: Loop
  readonly #saved: Counter
  readonly #failed: Counter
  readonly #refused: Counter
  readonly #seconds: Histogram
  #totals: CheckpointTotals = { processes: 0, checkpoints: 0, pages: 0, bytes: 0 }

  constructor(deps: CheckpointsDeps, options: CheckpointsOptions) {
    const { metrics, log } = deps.telemetry
    this.#deps = deps
    this.#options = options
    this.#slots = new Slots(options.maxSaving)
    this.#loop = new Loop(() => this.#sweep(), log, { name: 'checkpoint sweep', failurePauseMs: options.sweepEveryMs })
    this.#saved = metrics.counter('aonet_checkpoints_saved_total', 'Checkpoints written')
    this.#failed = metrics.counter('aonet_checkpoints_failed_total', 'Checkpoints that could not be written')
    this.#refused = metrics.counter('aonet_checkpoints_refused_total', 'Checkpoints not used at a cold start', [
      'reason',
    ])
    this.#seconds = metrics.histogram('aonet_checkpoint_save_seconds', 'Time to take and write one', saveBuckets)
    metrics.gauge('aonet_checkpoints', 'Checkpoints on disk', () => this.#totals.checkpoints)
    metrics.gauge('aonet_checkpoint_processes', 'Processes with a checkpoint', () => this.#totals.processes)
    metrics.gauge('aonet_checkpoint_bytes', 'Disk taken by checkpoints', () => this.#totals.bytes)
    metrics.gauge('aonet_checkpoints_waiting', 'Saves that wait for their turn', () => this.#slots.waiting)
  }

  get totals(): CheckpointTotals {
    return this.#totals
  }

  /** Whether `trySave` would begin now. */
  get hasRoom(): boolean {
    return this.#slots.hasFree
  }

  async start(): Promise<void> {
    this.#totals = await this.#deps.store.totals()
    await this.#loop.start()
  }

  async stop(): Promise<void> {
    await this.#loop.stop()
    await this.#deps.published.stop()
  }

  /**
   * Saves what `take` gives, which is called at once; undefined if too many are being saved already. Never rejects:
   * resolves with whether it is on disk.
   */
  trySave(take: () => Promise<Checkpoint>): Promise<boolean> | undefined {
    return this.#slots.tryRun(() => this.#save(take))
  }

  /** As `trySave`, but waits for its turn. */
  save(take: () => Promise<Checkpoint>): Promise<boolean> {
    return this.#slots.run(() => this.#save(take))
  }

  /** Those a cold start may use, not beyond `until`: this CU's own, newest first, then published ones. */
  async *usable(
    route: ProcessRoute,
    scheduler: () => Promise<Scheduler>,
    { until, ...options }: AbortOptions & { readonly until?: Placed | undefined },
  ): AsyncIterable<Checkpoint> {
    const process = route.item.id as Id as ProcessId
    const isBefore = ({ nonce, cron }: Placed): boolean =>
      until === undefined || comparePlaces({ nonce, cron }, until) <= 0
    for await (const found of this.#local(process, route.spec.module, nonce => isBefore({ nonce }))) {
      if (isBefore(placeOf(found))) yield found
    }
    const { published } = this.#deps
    if (!published.readsBack) return
    for await (const found of published.usable(route, await scheduler(), options)) {
      if (isBefore(placeOf(found)) && (await this.#leavesNoGap(found))) yield found
    }
  }

  /** Whether the Results that are stored go as far, or there is none: they must never miss some in the middle. */
  async #leavesNoGap({ assignment: { process, nonce, id }, attestedRoot, notes }: Checkpoint): Promise<boolean> {
    if ((await this.#deps.results.newest(process)) === undefined) return true
    const stored = await this.#deps.results.get(process, nonce, cronOf(notes))
    return stored?.assignment.id === id && stored.result.stateRoot === attestedRoot
  }

  async *#local(process: ProcessId, module: ModuleId, isWanted: (nonce: Nonce) => boolean): AsyncIterable<Checkpoint> {
    for (const nonce of (await this.#nonces(process)).filter(isWanted)) {
      try {
        const found = await this.#deps.store.get(process, nonce)
        if (found === undefined) continue
        await this.#assertSigned(found, module)
        yield found
      } catch (error) {
        if (!hasCode(error, 'STORE_CORRUPT', 'INVALID_RECORD')) throw error
        await this.refuse({ process, nonce }, hasCode(error, 'INVALID_RECORD') ? 'unfit' : 'damaged', error)
      }
    }
  }

  /** Removes one that turned out to be of no use. */
  async refuse(
    at: Pick<Checkpoint['assignment'], 'process' | 'nonce'>,
    reason: Refusal,
    cause: unknown,
  ): Promise<void> {
    const { process, nonce } = at
    this.#refused.add(1, { reason })
    this.#deps.telemetry.log.error('checkpoint-refused', { process, nonce, refusal: reason, ...failureFacts(cause) })
    await this.#deps.store.remove(process, [nonce])
    this.#totals = await this.#deps.store.totals()
  }

  /** Removes those after a nonce: the schedule goes on otherwise from there. */
  async removeAfter(process: ProcessId, nonce: Nonce): Promise<void> {
    const after = (await this.#nonces(process)).filter(one => one > nonce)
    if (after.length === 0) return
    await this.#deps.store.remove(process, after)
    this.#totals = await this.#deps.store.totals()
  }

  /** None if the disk does not tell: a replay needs no checkpoint. */
  async #nonces(process: ProcessId): Promise<readonly Nonce[]> {
    try {
      return await this.#deps.store.nonces(process)
    } catch (error) {
      this.#deps.telemetry.log.error('checkpoints-unreadable', { process, ...failureFacts(error) })
      return []
    }
  }

  async #save(take: () => Promise<Checkpoint>): Promise<boolean> {
    const { store, published, telemetry } = this.#deps
    const start = performance.now()
    try {
      const checkpoint = await take()
      failpoint('checkpoint-taken')
      const fullness = this.#totals.bytes / this.#options.maxCheckpointBytes
      if (fullness > 1.25) throw new AoError('OVERLOADED', 'the room for checkpoints is full', { ...this.#totals })
      await store.put(checkpoint, fullness > 1 ? keepNewest : keepSpaced)
      failpoint('checkpoint-written')
      this.#totals = await store.totals()
      published.offer(checkpoint)
      this.#saved.add()
      this.#seconds.observe((performance.now() - start) / 1000)
      return true
    } catch (error) {
      this.#failed.add()
      telemetry.log.warn('no-checkpoint', failureFacts(error))
      return false
    }
  }

  /** @throws AoError `INVALID_RECORD` unless it is what this CU has signed. */
  async #assertSigned(
    { assignment, attestedRoot, image, module, meter, notes }: Checkpoint,
    of: ModuleId,
  ): Promise<void> {
    const { process, nonce } = assignment
    const stored = await this.#deps.results.get(process, nonce, cronOf(notes))
    if (stored === undefined) throw unfit('no Result is stored for its nonce')
    if (stored.assignment.id !== assignment.id) throw unfit('it is of another Assignment than the Result')
    if (stored.result.stateRoot !== attestedRoot) throw unfit('it has another state root than the Result')
    const { stateNonce } = stored.result
    // Counted in messages that were applied: cron messages have no nonce of their own.
    const isOfThisState = stateNonce === image.applied - 1
    if (isOfThisState && attestedRoot !== image.stateRoot) throw unfit('its state is not the one attested')
    if (module !== of || meter !== this.#deps.meter) throw unfit('it was made under other rules')
    await this.#assertOwn(stored)
  }

  async #assertOwn({ attestation, result }: StoredResult): Promise<void> {
    const signed = parseAttestation(await verifyDataItem(attestation))
    if (signed.compute !== this.#deps.address) throw unfit('its Result was attested by another CU')
    if (signed.stateRoot !== result.stateRoot) throw unfit('its Result is not as attested')
  }

  async #sweep(): Promise<number> {
    const { removed, done } = await this.#deps.store.sweep(this.#options.sweepRows)
    if (removed > 0) this.#deps.telemetry.log.warn('checkpoint-leftovers-removed', { removed })
    return done ? 60 * this.#options.sweepEveryMs : this.#options.sweepEveryMs
  }
}

const placeOf = ({ assignment: { nonce }, notes }: Checkpoint): Placed => ({ nonce, cron: cronOf(notes) })

const unfit = (what: string): AoError => new AoError('INVALID_RECORD', `the checkpoint does not fit: ${what}`)

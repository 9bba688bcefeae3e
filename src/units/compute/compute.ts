import { setMaxListeners } from 'node:events'
import { type AbortOptions, throwIfAborted } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Component } from '../../lib/component.ts'
import { AoError } from '../../lib/errors.ts'
import { failpoint } from '../../lib/failpoint.ts'
import { Slots } from '../../lib/slots.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { CheckpointStore } from '../../ports/checkpoint-store.ts'
import type { HostTable } from '../../ports/hosts.ts'
import type { Gossip } from '../../ports/peers.ts'
import type { ResultStore } from '../../ports/result-store.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type {
  AttestedResult,
  Compute,
  CronAt,
  DryRunMessage,
  MemoryDump,
  ResultsPage,
  ResultsQuery,
} from '../../ports/units.ts'
import type { VmPool } from '../../ports/vm.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { parseCrons } from '../../protocol/cron.ts'
import type { Id, MessageId, Nonce, ProcessId } from '../../protocol/ids.ts'
import type { Signer } from '../../protocol/keys.ts'
import type { NetworkParams } from '../../protocol/params.ts'
import type { Evaluation } from '../../protocol/result.ts'
import { Broadcast } from '../broadcast.ts'
import { failureFacts } from '../failure.ts'
import type { Routes } from '../routing/route.ts'
import { AssignedItems } from './assigned.ts'
import { Attestor } from './attest.ts'
import { Checkpoints, type CheckpointsOptions } from './checkpoint.ts'
import { BlockTimes } from './cron-run.ts'
import { Dumps } from './dumps.ts'
import { Fleet, type FleetOptions } from './fleet.ts'
import { FollowedHosts } from './followed-hosts.ts'
import { toDryRunMessage } from './messages.ts'
import { Modules } from './modules.ts'
import { PublishedCheckpoints, type PublishedOptions } from './published.ts'
import { Replica, type ReplicaOptions } from './replay.ts'
import { type PageOptions, resultsPage } from './results-page.ts'

export interface ComputeUnitDeps {
  readonly signer: Signer
  readonly routes: Pick<Routes, 'process' | 'scheduler'>
  readonly results: ResultStore
  readonly checkpoints: CheckpointStore
  readonly pool: VmPool
  readonly arweave: ArweaveClient
  readonly gossip: Gossip
  readonly params: NetworkParams
  /** Absent: the `Scheduler` tag of a Process decides for ever. */
  readonly hosts?: HostTable | undefined
  readonly clock: Clock
  readonly telemetry: Telemetry
}

export interface ComputeUnitOptions
  extends ReplicaOptions,
    FleetOptions,
    CheckpointsOptions,
    PublishedOptions,
    PageOptions {
  /** Callers that wait for an evaluation. */
  readonly maxWaiting: number
  readonly maxModules: number
  /** Warm Processes brought up to date at once because gossip told of a new message. */
  readonly maxAhead: number
  /** Processes opened again at once because their worker was lost. */
  readonly maxReviving: number
  /** Attestations that gossip has not taken yet. */
  readonly maxUnsent: number
  /** Memories that are being read. */
  readonly maxDumps: number
  /** At a stop: how long messages that were begun may take to end, in milliseconds. */
  readonly stopMs: number
}
export const defaultComputeUnitOptions: ComputeUnitOptions = {
  maxWaiting: 1_000,
  maxLive: 256,
  maxLiveBytes: 1 << 30,
  maxModules: 8,
  maxAhead: 16,
  maxReviving: 2,
  maxUnsent: 10_000,
  maxDumps: 4,
  maxReopens: 3,
  readStallMs: 30_000,
  rowsAhead: 16,
  maxUnderWay: 16,
  maxUnderWayBytes: 4 << 20,
  maxUnderWayMs: 100,
  checkpointAfterMs: 1_500,
  notWorthMs: 20,
  maxSaving: 2,
  maxCheckpointBytes: 20 * 2 ** 30,
  sweepEveryMs: 10_000,
  sweepRows: 200,
  publishEveryMs: 0,
  trustedOwners: [],
  stopMs: 2_000,
  catchUpMs: 10_000,
  maxPageBytes: 8 * 1024 * 1024,
}

export interface ComputeStatus {
  /** Messages evaluated since the start; replays of earlier ones do not count. */
  readonly evaluated: number
  /** Processes awake or at work. */
  readonly following: number
  readonly waiting: number
  readonly live: number
  readonly liveBytes: number
  /** Processes with a checkpoint and without a live instance. */
  readonly asleep: number
  readonly checkpoints: number
  readonly checkpointBytes: number
}

/** The CU: what each message gave, evaluated here from the signed schedule alone. */
export class ComputeUnit implements Compute, Component {
  readonly name = 'compute unit'
  readonly #deps: ComputeUnitDeps
  readonly #options: ComputeUnitOptions
  readonly #broadcast: Broadcast
  readonly #attestor: Attestor
  readonly #checkpoints: Checkpoints
  readonly #fleet: Fleet<Replica>
  readonly #stop = new AbortController()
  readonly #cutOff = new AbortController()
  readonly #reviving: Slots
  readonly #dumps: Dumps
  readonly #followed: FollowedHosts
  #waiting = 0
  #ahead = 0

  constructor(deps: ComputeUnitDeps, options: ComputeUnitOptions = defaultComputeUnitOptions) {
    this.#deps = deps
    this.#options = options
    this.#dumps = new Dumps(options.maxDumps)
    const { params, telemetry } = deps
    this.#reviving = new Slots(options.maxReviving)
    this.#broadcast = new Broadcast(deps, 'attestations', options.maxUnsent)
    this.#attestor = new Attestor({ ...deps, broadcast: this.#broadcast, log: telemetry.log, meter: params.meter })
    const modules = new Modules(deps.arweave, options)
    const { signer, results, checkpoints: store } = deps
    const { meter, maxMemoryBytes } = params
    const published = new PublishedCheckpoints({ ...deps, meter, maxMemoryBytes }, options)
    this.#checkpoints = new Checkpoints(
      { store, results, published, address: signer.address, meter: params.meter, telemetry },
      options,
    )
    setMaxListeners(0, this.#stop.signal, this.#cutOff.signal) // each evaluation listens
    const signals = { stopped: this.#stop.signal, cutOff: this.#cutOff.signal }
    const assigned = new AssignedItems(deps.arweave, this.#stop.signal).load
    const shared = {
      ...deps,
      assigned,
      blockTimes: new BlockTimes(deps.arweave),
      ...signals,
      modules,
      attestor: this.#attestor,
      checkpoints: this.#checkpoints,
      lost: (process: ProcessId) => this.#revive(process),
      isFollowed: (process: ProcessId) => this.#followed.isFollowed(process),
    }
    this.#fleet = new Fleet(
      process => new Replica(process, { ...shared, room: this.#fleet }, options),
      telemetry,
      options,
    )
    const rewind = (process: ProcessId, to: Nonce): Promise<void> =>
      this.#fleet.use(process, replica => replica.rewind(to))
    this.#followed = new FollowedHosts({ ...deps, rewind })
    const { metrics } = telemetry
    metrics.gauge('aonet_compute_waiting_callers', 'Callers that wait for an evaluation', () => this.#waiting)
  }

  start(): Promise<void> {
    return this.#checkpoints.start()
  }

  /**
   * Callers get `STOPPING` or `ABORTED`; resolves when no evaluation is in flight and what is worth it has a checkpoint,
   * so that the next start goes on from there.
   */
  async stop(): Promise<void> {
    this.#stop.abort(stopping())
    const patience = setTimeout(() => this.#cutOff.abort(stopping()), this.#options.stopMs)
    await this.#fleet.stop()
    clearTimeout(patience)
    await this.#checkpoints.stop()
    await this.#broadcast.stop()
  }

  async result(
    process: ProcessId,
    at: MessageId | Nonce | CronAt,
    options: AbortOptions = {},
  ): Promise<AttestedResult> {
    return this.#admitted(options, async () => {
      failpoint('cu-asked')
      await this.#followed.follow(process, options)
      if (typeof at === 'object') return this.#cronResult(process, at, options)
      const nonce = typeof at === 'number' ? at : await this.#nonceOf(process, at, options)
      const stored = await this.#deps.results.get(process, nonce)
      failpoint('cu-looked-up')
      if (stored !== undefined) return { result: stored.result, attestation: stored.attestation }
      await this.#use(process, options, replica => replica.reach(nonce, options))
      failpoint('cu-reached')
      return this.#recorded(process, nonce, at)
    })
  }

  async dryRun(process: ProcessId, message: DryRunMessage, options: AbortOptions = {}): Promise<Evaluation> {
    return this.#admitted(options, async () => {
      const scheduler = await this.#deps.routes.scheduler(process, options)
      const { nonce } = await scheduler.assignment(process, 'newest', options)
      const messageAt = (last: Assignment) => toDryRunMessage(process, message, last)
      return this.#use(process, options, replica => replica.dryRun(nonce, messageAt, options))
    })
  }

  async memory(process: ProcessId, options: AbortOptions = {}): Promise<MemoryDump> {
    return this.#admitted(options, async () => {
      const scheduler = await this.#deps.routes.scheduler(process, options)
      const { nonce } = await scheduler.assignment(process, 'newest', options)
      await this.#reachNow(process, options) // cron messages change it too
      const take = () => this.#use(process, options, replica => replica.image(nonce, options))
      return this.#dumps.open(take, options.signal)
    })
  }

  async results(process: ProcessId, query: ResultsQuery, options: AbortOptions = {}): Promise<ResultsPage> {
    const newest = async (): Promise<Nonce> => {
      const scheduler = await this.#deps.routes.scheduler(process, options)
      return (await scheduler.assignment(process, 'newest', options)).nonce
    }
    const reach = (nonce: Nonce, wait: AbortOptions): Promise<void> =>
      this.#use(process, wait, replica => replica.reach(nonce, wait))
    const reachNow = (wait: AbortOptions): Promise<void> => this.#reachNow(process, wait)
    const deps = { results: this.#deps.results, newest, reach, reachNow }
    return this.#admitted(options, async () => {
      await this.#followed.follow(process, options)
      const page = await resultsPage(deps, { process, query }, { ...this.#options, ...options })
      if (page.rows.length > 0 || page.hasNext) await this.#assertReaches(process, query)
      return page
    })
  }

  /** A page may only begin where Results without a gap are stored from there on. */
  async #assertReaches(process: ProcessId, { after }: ResultsQuery): Promise<void> {
    if (after !== undefined && 'nonce' in after && (await this.#deps.results.get(process, after.nonce))) return
    await this.#assertHistory(process)
  }

  status(): ComputeStatus {
    const { checkpoints, processes, bytes } = this.#checkpoints.totals
    const { live, liveBytes, size } = this.#fleet
    return {
      ...{ evaluated: this.#attestor.recorded, following: size, waiting: this.#waiting, live, liveBytes },
      ...{ asleep: Math.max(0, processes - live), checkpoints, checkpointBytes: bytes },
    }
  }

  /** Processes that are live here and may be asked without a replay, most lately used first. */
  warm(limit: number): readonly ProcessId[] {
    return this.#fleet.warm(limit)
  }

  /** Told of a new Assignment: a Process that is warm here is brought up to date before anybody asks. */
  onAssignment(assignment: Assignment): void {
    const { process, nonce } = assignment
    const replica = this.#fleet.peek(process)
    if (replica?.warmAt === undefined || nonce <= replica.warmAt || this.#ahead >= this.#options.maxAhead) return
    this.#ahead++
    this.#deps.routes
      .process(process)
      .then(({ spec }) => {
        const host = this.#deps.hosts?.hostOf(process, spec.scheduler)?.scheduler ?? spec.scheduler
        return host === assignment.scheduler ? this.#use(process, {}, warm => warm.reach(nonce)) : undefined
      })
      .catch(error => this.#deps.telemetry.log.debug('not brought up to date', { process, ...failureFacts(error) }))
      .finally(() => this.#ahead--)
  }

  /** Whoever asks next finds the Process awake, though another took its worker down. */
  #revive(process: ProcessId): void {
    if (this.#stop.signal.aborted) return
    this.#reviving
      .run(() => this.#fleet.use(process, replica => replica.revive()))
      .catch(error => this.#deps.telemetry.log.debug('not opened again', { process, ...failureFacts(error) }))
  }

  async #reachNow(process: ProcessId, options: AbortOptions): Promise<void> {
    const { item } = await this.#deps.routes.process(process, options)
    if (parseCrons(item.tags).length === 0) return
    const scheduler = await this.#deps.routes.scheduler(process, options)
    const clock = await scheduler.clock(process, options)
    await this.#use(process, options, replica => replica.reachClock(clock, options))
  }

  async #cronResult(process: ProcessId, { nonce, cron }: CronAt, options: AbortOptions): Promise<AttestedResult> {
    const { results } = this.#deps
    const stored = await results.get(process, nonce, cron)
    if (stored === undefined) await this.#reachNow(process, options)
    const row = stored ?? (await results.get(process, nonce, cron))
    if (row !== undefined) return { result: row.result, attestation: row.attestation }
    throw new AoError('UNKNOWN_MESSAGE', 'the Process has no such cron message, or not yet', {
      process,
      nonce,
      timestamp: cron.timestamp,
      cron: cron.id,
    })
  }

  async #nonceOf(process: ProcessId, message: MessageId, options: AbortOptions): Promise<Nonce> {
    const known = await this.#deps.results.nonceOf(process, message)
    if (known !== undefined) return known
    const scheduler = await this.#deps.routes.scheduler(process, options)
    return (await scheduler.assignment(process, message, options)).nonce
  }

  async #recorded(process: ProcessId, nonce: Nonce, at: MessageId | Nonce): Promise<AttestedResult> {
    const row = await this.#deps.results.get(process, nonce)
    if (row === undefined) {
      await this.#assertHistory(process)
      throw new AoError('STORE_CORRUPT', 'a result that was stored is gone', { process, nonce })
    }
    const { id, message } = row.assignment
    if (typeof at !== 'number' && message !== at && (id as Id) !== (at as Id)) {
      throw new AoError('INVALID_ASSIGNMENT', 'the scheduler named a nonce where another message stands', {
        process,
        message: at,
        nonce,
      })
    }
    return { result: row.result, attestation: row.attestation }
  }

  /** @throws AoError `NOT_READY` if this CU began at a published checkpoint and has nothing of what was before. */
  async #assertHistory(process: ProcessId): Promise<void> {
    if ((await this.#deps.results.get(process, at0)) !== undefined) return
    throw new AoError(
      'NOT_READY',
      'this Compute Unit took the Process up at a published checkpoint and has no older results',
      { process },
      { hint: 'Ask another Compute Unit for them.' },
    )
  }

  async #admitted<T>({ signal }: AbortOptions, work: () => Promise<T>): Promise<T> {
    if (this.#stop.signal.aborted) throw stopping()
    throwIfAborted(signal)
    if (this.#waiting >= this.#options.maxWaiting) {
      throw new AoError(
        'OVERLOADED',
        'too many callers wait for an evaluation',
        { waiting: this.#waiting },
        { hint: 'Ask another Compute Unit, or again in a moment.' },
      )
    }
    this.#waiting++
    try {
      return await work()
    } finally {
      this.#waiting--
    }
  }

  /** Only a Process that exists may push another out. */
  async #use<T>(process: ProcessId, options: AbortOptions, work: (replica: Replica) => Promise<T>): Promise<T> {
    await this.#deps.routes.process(process, options)
    await this.#followed.follow(process, options)
    return this.#fleet.use(process, work)
  }
}

const at0 = 0 as Nonce

const stopping = (): AoError => new AoError('STOPPING', 'the compute unit is shutting down')

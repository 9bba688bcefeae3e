import { setMaxListeners } from 'node:events'
import type { AbortOptions } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Component } from '../../lib/component.ts'
import { AoError } from '../../lib/errors.ts'
import { failpoint } from '../../lib/failpoint.ts'
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
  ResultOptions,
  ResultsPage,
  ResultsQuery,
  StateOptions,
} from '../../ports/units.ts'
import type { VmPool } from '../../ports/vm.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { parseCrons } from '../../protocol/cron.ts'
import type { MessageId, Nonce, ProcessId } from '../../protocol/ids.ts'
import type { Signer } from '../../protocol/keys.ts'
import type { NetworkParams } from '../../protocol/params.ts'
import type { Evaluation } from '../../protocol/result.ts'
import { Broadcast } from '../broadcast.ts'
import type { Routes } from '../routing/route.ts'
import { Admission } from './admission.ts'
import { AssignedItems } from './assigned.ts'
import { Attestor } from './attest.ts'
import { Checkpoints } from './checkpoint.ts'
import { BlockTimes } from './cron-run.ts'
import { Dumps } from './dumps.ts'
import { Fleet } from './fleet.ts'
import { FollowedHosts } from './followed-hosts.ts'
import { Looks } from './looks.ts'
import { Modules } from './modules.ts'
import { type ComputeUnitOptions, defaultComputeUnitOptions } from './options.ts'
import { Past } from './past.ts'
import { PublishedCheckpoints } from './published.ts'
import { Recorded } from './recorded.ts'
import { Replica } from './replay.ts'
import { resultsPage } from './results-page.ts'
import type { OnRead } from './schedule-check.ts'
import { Unasked } from './unasked.ts'

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
  /** Hears of each Assignment that is read of a schedule. */
  readonly onRead?: OnRead | undefined
  readonly clock: Clock
  readonly telemetry: Telemetry
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
  readonly #unasked: Unasked
  readonly #looks: Looks
  readonly #followed: FollowedHosts
  readonly #recorded: Recorded
  readonly #admission: Admission
  readonly #dryRuns: Admission

  constructor(deps: ComputeUnitDeps, options: ComputeUnitOptions = defaultComputeUnitOptions) {
    this.#deps = deps
    this.#options = options
    this.#recorded = new Recorded(deps)
    this.#admission = new Admission('callers wait for an evaluation', options.maxWaiting, this.#stop.signal)
    this.#dryRuns = new Admission('dry-runs at once', options.maxDryRuns, this.#stop.signal)
    const { params, telemetry } = deps
    this.#broadcast = new Broadcast(deps, 'attestations', options.maxUnsent)
    this.#attestor = new Attestor({ ...deps, broadcast: this.#broadcast, log: telemetry.log, meter: params.meter })
    const modules = new Modules(deps.arweave, options)
    const { signer, results, checkpoints: store } = deps
    const { meter, maxMemoryBytes } = params
    const published = new PublishedCheckpoints({ ...deps, meter, maxMemoryBytes }, options)
    const { address } = signer
    this.#checkpoints = new Checkpoints({ store, results, published, address, meter, telemetry }, options)
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
      lost: (process: ProcessId) => this.#unasked.revive(process),
      isFollowed: (process: ProcessId) => this.#followed.isFollowed(process),
    }
    this.#fleet = new Fleet(
      process => new Replica(process, { ...shared, room: this.#fleet }, options),
      telemetry,
      options,
    )
    this.#unasked = new Unasked(
      {
        ...{ ...deps, stopped: this.#stop.signal, peek: process => this.#fleet.peek(process) },
        use: (process, work) => this.#use(process, {}, work),
      },
      options,
    )
    const rewind = (process: ProcessId, to: Nonce): Promise<void> =>
      this.#fleet.use(process, replica => replica.rewind(to))
    this.#followed = new FollowedHosts({ ...deps, rewind })
    const nonceOf: Recorded['nonceOf'] = (process, message, wait) => this.#recorded.nonceOf(process, message, wait)
    const past = new Past({ ...shared, nonceOf, room: this.#fleet }, options)
    this.#looks = new Looks({
      ...{ routes: deps.routes, past, dumps: new Dumps(options.maxDumps) },
      look: (process, nonce, wait, ask) => this.#use(process, wait, replica => replica.look(nonce, wait, ask)),
      reachNow: (process, wait) => this.#reachNow(process, wait),
    })
    const { metrics } = telemetry
    metrics.gauge('aonet_compute_past_states', 'States of older times that are made or looked at', () => past.open)
    metrics.gauge('aonet_compute_waiting_callers', 'Callers that wait for an evaluation', () => this.#admission.waiting)
    metrics.gauge('aonet_compute_dry_runs', 'Dry-runs that are evaluated or wait', () => this.#dryRuns.waiting)
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
    options: ResultOptions = {},
  ): Promise<AttestedResult> {
    return this.#admission.admit(options, async () => {
      failpoint('cu-asked')
      await this.#followed.follow(process, options)
      if (typeof at === 'object') return this.#recorded.cron(process, at, () => this.#reachNow(process, options))
      const nonce = typeof at === 'number' ? at : await this.#recorded.nonceOf(process, at, options)
      const known = await this.#recorded.find(process, nonce, options)
      failpoint('cu-looked-up')
      if (known !== undefined) return known
      await this.#use(process, options, replica => replica.reach(nonce, options))
      failpoint('cu-reached')
      return this.#recorded.result(process, { nonce, at, ...options })
    })
  }

  dryRun(process: ProcessId, message: DryRunMessage, options: StateOptions = {}): Promise<Evaluation> {
    return this.#dryRuns.admit(options, () => this.#looks.dryRun(process, message, options))
  }

  memory(process: ProcessId, options: StateOptions = {}): Promise<MemoryDump> {
    return this.#admission.admit(options, () => this.#looks.memory(process, options))
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
    return this.#admission.admit(options, async () => {
      await this.#followed.follow(process, options)
      const page = await resultsPage(deps, { process, query }, { ...this.#options, ...options })
      if (page.rows.length > 0 || page.hasNext) await this.#recorded.assertReaches(process, query)
      return page
    })
  }

  status(): ComputeStatus {
    const { checkpoints, processes, bytes } = this.#checkpoints.totals
    const { live, liveBytes, size } = this.#fleet
    return {
      ...{ evaluated: this.#attestor.recorded, following: size, waiting: this.#admission.waiting, live, liveBytes },
      ...{ asleep: Math.max(0, processes - live), checkpoints, checkpointBytes: bytes },
    }
  }

  /** Processes that are live here and may be asked without a replay, most lately used first. */
  warm(limit: number): readonly ProcessId[] {
    return this.#fleet.warm(limit)
  }

  /** Told of a new Assignment: a Process that is warm here is brought up to date before anybody asks. */
  onAssignment(assignment: Assignment): void {
    this.#unasked.follow(assignment)
  }

  async #reachNow(process: ProcessId, options: AbortOptions): Promise<void> {
    const { item } = await this.#deps.routes.process(process, options)
    if (parseCrons(item.tags).length === 0) return
    const scheduler = await this.#deps.routes.scheduler(process, options)
    const clock = await scheduler.clock(process, options)
    await this.#use(process, options, replica => replica.reachClock(clock, options))
  }

  /** Only a Process that exists may push another out. */
  async #use<T>(process: ProcessId, options: AbortOptions, work: (replica: Replica) => Promise<T>): Promise<T> {
    await this.#deps.routes.process(process, options)
    await this.#followed.follow(process, options)
    return this.#fleet.use(process, work)
  }
}

const stopping = (): AoError => new AoError('STOPPING', 'the compute unit is shutting down')

import { MemoryArweave } from '../../src/arweave/memory-arweave.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { type Component, ComponentList } from '../../src/lib/component.ts'
import { type Logger, silentLogger, silentTelemetry, type Telemetry } from '../../src/lib/telemetry.ts'
import { MemoryGossipHub } from '../../src/network/memory-gossip.ts'
import type { HostTable } from '../../src/ports/hosts.ts'
import type { Compute, Messenger, Scheduler } from '../../src/ports/units.ts'
import type { Assignment } from '../../src/protocol/assignment.ts'
import type { DataItem } from '../../src/protocol/data-item.ts'
import type { Address, Id, ModuleId, ProcessId } from '../../src/protocol/ids.ts'
import type { Signer } from '../../src/protocol/keys.ts'
import { testnetParams } from '../../src/protocol/params.ts'
import type { Tag } from '../../src/protocol/tags.ts'
import type { UnitRole } from '../../src/protocol/unit-record.ts'
import {
  MemoryAssignmentLog,
  MemoryCheckpointStore,
  MemoryCrankQueue,
  MemoryMonitorStore,
  MemoryPromiseStore,
  MemoryResultStore,
  MemoryRouteStore,
  MemoryScheduleFloor,
  MemorySettlementStore,
  MemorySignGuard,
} from '../../src/storage/memory.ts'
import { ComputeUnit } from '../../src/units/compute/compute.ts'
import { defaultComputeUnitOptions } from '../../src/units/compute/options.ts'
import { MessengerUnit } from '../../src/units/messenger/messenger.ts'
import { defaultMessengerUnitOptions, type MessengerUnitOptions } from '../../src/units/messenger/messenger-options.ts'
import type { PromiseCourt } from '../../src/units/messenger/promises.ts'
import { defaultGossipIntakeOptions, GossipIntake } from '../../src/units/routing/gossip-intake.ts'
import { defaultGossipSubmitterOptions, GossipSubmitter } from '../../src/units/routing/gossip-submitter.ts'
import { keptLog } from '../../src/units/routing/kept-log.ts'
import { defaultRoutesOptions, Routes } from '../../src/units/routing/route.ts'
import { RoutedCompute } from '../../src/units/routing/routed-compute.ts'
import { RoutedMessenger } from '../../src/units/routing/routed-messenger.ts'
import { RoutedScheduler } from '../../src/units/routing/routed-scheduler.ts'
import { SchedulerUnit } from '../../src/units/scheduler/scheduler.ts'
import { defaultSchedulerUnitOptions } from '../../src/units/scheduler/scheduler-options.ts'
import { defaultSettlerOptions, Settler } from '../../src/units/settler/settler.ts'
import { defaultWatcherOptions, Watcher } from '../../src/units/watcher/watcher.ts'
import { aProcess, testSigner } from './builders.ts'
import { eventually } from './eventually.ts'
import { aRecord, MemoryNetwork } from './memory-network.ts'
import { aScriptModule, type Script, ScriptPool, scriptFormat } from './script-vm.ts'

/** What a node keeps on its disk: outlives the units. */
const newDisk = () => ({
  log: new MemoryAssignmentLog(),
  guard: new MemorySignGuard(),
  floor: new MemoryScheduleFloor(),
  monitors: new MemoryMonitorStore(),
  promises: new MemoryPromiseStore(),
  queue: new MemoryCrankQueue(),
  results: new MemoryResultStore(),
  checkpoints: new MemoryCheckpointStore(),
  routes: new MemoryRouteStore(),
  settlement: new MemorySettlementStore(),
})
export type Disk = ReturnType<typeof newDisk>

export interface NodeOptions {
  readonly messenger?: Partial<MessengerUnitOptions>
  readonly disk?: Disk
  /** Where the promises of its MU count. */
  readonly court?: PromiseCourt
  /** Wraps what this node's MU is given, to break or watch it. */
  readonly wrap?: {
    readonly scheduler?: (unit: Scheduler) => Scheduler
    readonly compute?: (unit: Compute) => Compute
    /** What takes gossiped messages. */
    readonly intake?: (unit: Messenger | undefined) => Messenger | undefined
  }
}

/** Quick retries: tests wait for facts, not for pauses meant for a real network. */
const quick: Partial<MessengerUnitOptions> = {
  pollMs: 2,
  retryMs: 1,
  maxRetryMs: 4,
  maxRetryAgeMs: 200,
  revivalEveryMs: 10,
  promisePollMs: 5,
  maxPromiseRetryMs: 20,
}

/** A network of real units in one program: memory for disks, gossip and Arweave, function calls for gRPC. */
export class UnitNetwork {
  readonly arweave = new MemoryArweave()
  readonly hub = new MemoryGossipHub()
  readonly network = new MemoryNetwork()
  readonly #scripts: Readonly<Record<string, Script>>
  readonly nodes: UnitNode[] = []

  /** Who hosts what, for all of them; without one the `Scheduler` tags decide. */
  readonly hosts: HostTable | undefined

  constructor(scripts: Readonly<Record<string, Script>>, hosts?: HostTable) {
    this.#scripts = scripts
    this.hosts = hosts
  }

  async node(name: string, roles: readonly UnitRole[], options: NodeOptions = {}): Promise<UnitNode> {
    const node = new UnitNode(this, { name, roles, pool: new ScriptPool(this.#scripts) }, options)
    this.nodes.push(node)
    await node.start()
    return node
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) await node.stop()
  }

  /** A Process item for a script, its Module published; spawned through `node`. */
  async spawn(
    node: UnitNode,
    script: string,
    options: {
      name?: string
      authorities?: readonly Address[]
      scheduler?: Address
      signer?: Signer
      target?: ProcessId
      data?: string
      tags?: readonly Tag[]
    } = {},
  ): Promise<DataItem> {
    const module = await aScriptModule(script)
    await this.arweave.upload(module)
    const { name = script, authorities = this.network.find('MU').map(({ address }) => address) } = options
    const item = await aProcess({
      module: module.id as Id as ModuleId,
      authorities,
      tags: [{ name: 'Name', value: name }, ...(options.tags ?? [])],
      target: options.target,
      ...(options.data === undefined ? {} : { data: options.data }),
      scheduler: options.scheduler ?? this.network.find('SU')[0]?.address ?? testSigner('su').address,
      ...(options.signer === undefined ? {} : { signer: options.signer }),
    })
    await node.messenger.submit(item.raw)
    return item
  }
}

let gossipNames = 0

export class UnitNode implements Component {
  readonly name: string
  readonly address: Address
  readonly disk: Disk
  readonly pool: ScriptPool
  readonly events: { readonly level: 'warn' | 'error'; readonly event: string; readonly facts: object }[] = []
  readonly scheduler: Scheduler
  readonly kept: ReturnType<typeof keptLog>
  readonly compute: Compute
  readonly messenger: Messenger
  readonly settler: Settler
  readonly watcher: Watcher
  readonly mu: MessengerUnit | undefined
  readonly intake: GossipIntake
  readonly #net: UnitNetwork
  readonly #parts: ComponentList
  readonly #join: () => void
  readonly su: SchedulerUnit | undefined

  constructor(
    net: UnitNetwork,
    { name, roles, pool }: { name: string; roles: readonly UnitRole[]; pool: ScriptPool },
    options: NodeOptions,
  ) {
    const { network: directory, network: remote, arweave } = net
    const signer = testSigner(name)
    this.name = name
    this.address = signer.address
    this.#net = net
    this.pool = pool
    this.disk = options.disk ?? newDisk()
    const telemetry: Telemetry = { ...silentTelemetry, log: this.#logger() }
    const gossip = net.hub.join(`${name} ${gossipNames++}`)
    const common = { signer, arweave, gossip, directory, remote, clock: systemClock, telemetry, hosts: net.hosts }

    this.su = roles.includes('SU')
      ? new SchedulerUnit(
          { ...common, log: this.disk.log, guard: this.disk.guard, floor: this.disk.floor },
          { ...defaultSchedulerUnitOptions, headPollMs: 20 },
        )
      : undefined
    const address = signer.address
    const routes = new Routes(
      { ...common, local: { address, scheduler: this.su }, store: this.disk.routes },
      { ...defaultRoutesOptions, maxCached: 1_000, schedulerTimeoutMs: 50 },
    )
    const cu = roles.includes('CU')
      ? new ComputeUnit(
          {
            ...{ ...common, routes, pool, params: testnetParams },
            ...{ results: this.disk.results, checkpoints: this.disk.checkpoints },
          },
          defaultComputeUnitOptions,
        )
      : undefined
    this.kept = keptLog({ log: this.disk.log, results: this.disk.results })
    this.scheduler = new RoutedScheduler({ routes, directory, kept: this.kept })
    this.compute = new RoutedCompute({ ...common, local: { address, compute: cu } }, { avoidMs: 50 })
    const muDeps = {
      ...{ ...common, routes, queue: this.disk.queue, monitors: this.disk.monitors },
      ...{ promises: this.disk.promises, court: options.court },
      sharesStore: this.su !== undefined && cu !== undefined,
      scheduler: options.wrap?.scheduler?.(this.scheduler) ?? this.scheduler,
      compute: options.wrap?.compute?.(this.compute) ?? this.compute,
    }
    const muOptions = { ...defaultMessengerUnitOptions, ...quick, ...options.messenger }
    this.mu = roles.includes('MU') ? new MessengerUnit(muDeps, muOptions) : undefined
    const byGossip = new GossipSubmitter(
      { gossip, scheduler: this.scheduler },
      { ...defaultGossipSubmitterOptions, askMs: 20 },
    )
    this.messenger = new RoutedMessenger({ ...common, local: { address, messenger: this.mu }, byGossip })
    this.intake = new GossipIntake(
      { ...common, address, scheduler: this.scheduler, messenger: options.wrap?.intake?.(this.mu) ?? this.mu },
      { ...defaultGossipIntakeOptions, takeoverMs: 60 },
    )
    this.settler = new Settler(
      { ...common, log: this.disk.log, store: this.disk.settlement },
      { ...defaultSettlerOptions, maxAgeMs: 0, confirmations: 2, pollMs: 10 },
    )
    const onAssignment = (assignment: Assignment): void => {
      cu?.onAssignment(assignment)
      this.intake.onAssignment(assignment)
      byGossip.onAssignment(assignment)
    }
    this.watcher = new Watcher({ ...common, onAssignment }, { ...defaultWatcherOptions, maxRemembered: 1_000 })
    const parts = [this.watcher, this.intake, this.su, cu, this.mu, roles.includes('SU') ? this.settler : undefined]
    this.#parts = new ComponentList(
      name,
      parts.filter(part => part !== undefined),
    )
    this.#join = () =>
      net.network.join(aRecord(address, roles, [scriptFormat]), {
        scheduler: this.su ?? this.scheduler,
        compute: cu,
        messenger: this.mu,
      })
  }

  async start(): Promise<void> {
    await this.#parts.start()
    this.#join()
    const su = this.su
    if (su === undefined) return
    const probe = await aProcess({ scheduler: this.address, tags: [{ name: 'Name', value: `probe of ${this.name}` }] })
    await eventually('the first block', () => su.schedule(probe).catch(() => undefined))
  }

  async stop(): Promise<void> {
    this.#net.network.leave(this.address)
    await this.#parts.stop()
  }

  #logger(): Logger {
    const note =
      (level: 'warn' | 'error') =>
      (event: string, facts: object = {}): void => {
        this.events.push({ level, event, facts })
      }
    return { ...silentLogger, warn: note('warn'), error: note('error') }
  }
}

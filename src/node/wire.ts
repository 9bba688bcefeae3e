import { GatewayClient } from '../arweave/gateway-client.ts'
import type { HttpServer } from '../http/server.ts'
import { systemClock } from '../lib/clock.ts'
import { type Component, ComponentList } from '../lib/component.ts'
import { AoError } from '../lib/errors.ts'
import { HttpForeignUnits } from '../network/foreign/units.ts'
import type { Certificate } from '../network/grpc/certificate.ts'
import { GrpcUnits } from '../network/grpc/clients.ts'
import type { GrpcServer } from '../network/grpc/server.ts'
import { Libp2pDirectory } from '../network/libp2p/directory.ts'
import type { OwnRecord } from '../network/libp2p/directory-options.ts'
import { Libp2pGossip } from '../network/libp2p/gossip.ts'
import { GrpcTunnel } from '../network/libp2p/grpc-tunnel.ts'
import { strangersLedger } from '../network/libp2p/peer-ledger.ts'
import type { OwnSession } from '../ports/session.ts'
import type { Compute, Messenger, Scheduler } from '../ports/units.ts'
import type { Assignment } from '../protocol/assignment.ts'
import type { DataItem } from '../protocol/data-item.ts'
import { paramsHash } from '../protocol/params.ts'
import { maxWarm, type UnitRecord, warmPrefixLength } from '../protocol/unit-record.ts'
import { LevelAssignmentLog } from '../storage/level-assignment-log.ts'
import { LevelCheckpointStore } from '../storage/level-checkpoint-store.ts'
import { LevelCrankQueue } from '../storage/level-crank-queue.ts'
import { LevelEconomyStore } from '../storage/level-economy-store.ts'
import { LevelMonitorStore } from '../storage/level-monitor-store.ts'
import { LevelPromiseStore } from '../storage/level-promise-store.ts'
import { LevelRecordStore } from '../storage/level-record-store.ts'
import { LevelResultStore } from '../storage/level-result-store.ts'
import { LevelRouteStore } from '../storage/level-route-store.ts'
import { LevelScheduleFloor } from '../storage/level-schedule-floor.ts'
import { LevelSettlementStore } from '../storage/level-settlement-store.ts'
import { LevelSignGuard } from '../storage/level-sign-guard.ts'
import type { Store } from '../storage/store.ts'
import { SettledItems } from '../units/compute/settled-items.ts'
import type { EconomyFollower } from '../units/economy/follower.ts'
import { OriginMail } from '../units/economy/origin-mail.ts'
import { StakedDirectory } from '../units/economy/staked-directory.ts'
import { FollowedSchedules } from '../units/routing/followed-schedules.ts'
import { ForeignSchedulers } from '../units/routing/foreign-schedulers.ts'
import { GossipIntake } from '../units/routing/gossip-intake.ts'
import { GossipSubmitter } from '../units/routing/gossip-submitter.ts'
import { Hedge } from '../units/routing/hedge.ts'
import { keptLog } from '../units/routing/kept-log.ts'
import { Routes } from '../units/routing/route.ts'
import { RoutedCompute } from '../units/routing/routed-compute.ts'
import { RoutedMessenger } from '../units/routing/routed-messenger.ts'
import { RoutedScheduler } from '../units/routing/routed-scheduler.ts'
import { LocationPublisher } from '../units/scheduler/location.ts'
import { UnitTracer } from '../units/trace/trace.ts'
import { Watcher } from '../units/watcher/watcher.ts'
import { AdminServer, adminSocketPath } from './admin.ts'
import { adminCalls } from './admin-calls.ts'
import { CheckThreads } from './check-threads.ts'
import type { NodeKeys } from './identity.ts'
import { LoadMeter } from './load.ts'
import { peerMemory } from './peer-memory.ts'
import type { NodeOptions } from './settings.ts'
import { SignThread } from './sign-thread.ts'
import { type NodeStatus, nodeStatus } from './status.ts'
import type { NodeTelemetry } from './telemetry.ts'
import { grpcDoor, httpDoor } from './wire-doors.ts'
import { accuser, muScheduler, oracleFeed, promiseCourt, respondent, successor } from './wire-economy.ts'
import { libp2pHost, memberTokenOf } from './wire-network.ts'
import {
  computeUnit,
  economyFollower,
  evidenceDesk,
  foreignSigner,
  messengerUnit,
  networkParams,
  payerWallet,
  schedulerGossip,
  schedulerUnit,
  settlerUnit,
  vmPool,
} from './wire-units.ts'

export interface WireInput {
  readonly options: NodeOptions
  readonly keys: NodeKeys
  readonly telemetry: NodeTelemetry
  readonly store: Store
  /** Of checkpoints alone. */
  readonly checkpoints: Store
  readonly certificate: Certificate
  readonly version: string
  readonly session: OwnSession
}

export interface WiredNode {
  readonly components: ComponentList
  readonly telemetry: NodeTelemetry
  readonly http: HttpServer
  record(): UnitRecord
  status(): Promise<NodeStatus>
  /** From now on `/ready` answers yes. */
  ready(): void
}

/** The composition root: every `new` of an adapter and of a unit, and the order in which they live. */
export function wireNode(input: WireInput): WiredNode {
  const { options, keys, telemetry, store, certificate, version, session } = input
  const { log } = telemetry
  const { signer } = keys
  const { address } = signer
  const clock = systemClock
  const params = networkParams(options)
  const network = paramsHash(params)
  const arweave = new GatewayClient(telemetry, { gatewayUrl: options.arweaveUrl, wallet: payerWallet(options) })

  const isTestnet = params.network === 'testnet'
  const host = libp2pHost(options, telemetry, { keys, networkHash: network, isTestnet, version })
  const gossip = new Libp2pGossip({ ...telemetry, host })
  const pool = vmPool(options, telemetry)
  const load = new LoadMeter()
  const describe = (): OwnRecord => ({
    roles: options.roles,
    peer: host.peerId,
    multiaddrs: host.multiaddrs,
    grpc: options.grpcAdvertise || `${options.grpcHost}:${grpc.port}`,
    tunnelled: options.relay,
    certificate: certificate.der,
    network,
    formats: pool?.formats ?? [],
    peerSignature: keys.peerSignature(network),
    session: session.current,
    load: load.percent(compute?.status().waiting ?? 0),
    warm: compute?.warm(maxWarm).map(process => process.slice(0, warmPrefixLength)),
  })
  const peers = new Libp2pDirectory(
    { ...telemetry, clock, host, gossip, signer, saved: new LevelRecordStore(store) },
    { describe },
  )
  const economy = economyFollower({ address, arweave, store: new LevelEconomyStore(store), telemetry }, options)
  const directory = economy === undefined ? peers : new StakedDirectory(peers, economy)
  const memberToken = memberTokenOf(options)
  const tunnel = new GrpcTunnel({ ...telemetry, host, serve: connection => grpc.inject(connection) })
  const remote = new GrpcUnits(telemetry, { identity: certificate, memberToken, tunnel, wasHost: wasHost(economy) })

  const memory = peerMemory({
    directory,
    remote,
    self: address,
    record: () => peers.signed,
    expected: options.bootstrap.length > 0,
  })
  const shared = { signer, arweave, clock, telemetry }
  const assignments = new LevelAssignmentLog(store)
  const told = { log: assignments, gossip: schedulerGossip(gossip, signer, options) }
  const kept = { guard: new LevelSignGuard(store), floor: new LevelScheduleFloor(store) }
  const onOrdered = (newest: Assignment): void => compute?.onAssignment(newest)
  const scheduler = schedulerUnit(
    { ...shared, ...told, ...kept, session, peers: memory, onOrdered, hosts: economy },
    options,
  )
  const settler =
    scheduler && settlerUnit({ ...shared, log: assignments, store: new LevelSettlementStore(store) }, options)
  const abroad = options.foreignSchedulers ? new HttpForeignUnits(telemetry, { allowPrivate: isTestnet }) : undefined
  const routes = new Routes({
    local: { address, scheduler },
    directory,
    remote,
    store: new LevelRouteStore(store),
    arweave,
    telemetry,
    hosts: economy,
    foreign:
      abroad &&
      new ForeignSchedulers({
        arweave,
        units: abroad,
        network,
        clock,
        telemetry,
      }),
  })
  const checkpoints = new LevelCheckpointStore(input.checkpoints)
  const results = new LevelResultStore(store)
  const followed = pool && new FollowedSchedules({ telemetry, onAssignment: onOrdered })
  const reading = { routes: followed?.over(routes, scheduler) ?? routes, results, checkpoints, hosts: economy }
  const compute = pool && computeUnit({ ...shared, ...reading, pool, gossip, params }, options)
  const settledItems = compute && new SettledItems({ results, arweave, telemetry })
  const ownLog = keptLog({ log: assignments, results })
  const onRefused = (message: DataItem, error: unknown): void => plaintiff?.onRefused(message, error)
  const routedScheduler = new RoutedScheduler({ routes, directory, kept: ownLog, onRefused })
  const routedCompute = new RoutedCompute({
    ...{ local: { address, compute }, directory, remote, clock },
    hedge: new Hedge(telemetry.metrics),
  })
  const queue = new LevelCrankQueue(store)
  const behind = {
    routes,
    hosts: economy,
    scheduler: muScheduler(routedScheduler, options),
    compute: routedCompute,
    directory,
    remote,
  }
  const own = { queue, monitors: new LevelMonitorStore(store), promises: new LevelPromiseStore(store) }
  const court = promiseCourt(economy, options)
  const messenger = messengerUnit(
    { ...shared, ...behind, ...own, court, foreignSigner: foreignSigner(options, keys) },
    options,
  )
  const tracer = new UnitTracer({
    local: { address, messenger },
    scheduler: routedScheduler,
    compute: routedCompute,
    directory,
    remote,
    arweave,
  })
  const submitter = new GossipSubmitter({ gossip, scheduler: routedScheduler })
  const intake = new GossipIntake({
    ...{ gossip, directory, address, clock, telemetry },
    ...{ scheduler: routedScheduler, messenger },
  })
  const mail = new OriginMail({
    ...shared,
    messenger: { submit: (bytes, abort) => units.messenger.submit(bytes, abort) },
  })
  const desk = evidenceDesk({ ...shared, mail }, { economy, options })
  const watcher = new Watcher({
    gossip,
    directory,
    telemetry,
    onEvidence: evidence => void desk.file(evidence),
    onAssignment: assignment => {
      compute?.onAssignment(assignment)
      scheduler?.onAssignment(assignment)
      intake.onAssignment(assignment)
      submitter.onAssignment(assignment)
      plaintiff?.onAssignment(assignment)
    },
  })

  const plaintiff = accuser({ ...shared, address, routes, mail, scheduler: routedScheduler }, { economy, options })
  const answers = respondent(
    { ...shared, address, mail, log: assignments, routes, scheduler: routedScheduler },
    { economy, scheduler, messenger, options },
  )
  const reporter = oracleFeed({ ...shared, address, mail }, { economy, options })
  const heir = successor(
    {
      ...{ ...shared, address, directory, remote, routes, mail, kept: ownLog },
      recall: (of, limit) => watcher.recall(of, limit),
    },
    { economy, scheduler, options },
  )

  peers.onChange(found => scheduler?.onRecord(found))

  // A call that came over the wire is answered here if this node has the role; only without it is it passed on, so
  // that no two nodes hand a call to each other for ever.
  const units: { scheduler: Scheduler; compute: Compute; messenger: Messenger } = {
    scheduler: routedScheduler,
    compute: compute ?? routedCompute,
    messenger: messenger ?? new RoutedMessenger({ local: { address }, directory, remote, byGossip: submitter }),
  }
  const record = (): UnitRecord => {
    const own = directory.get(address)
    if (own === undefined) throw new AoError('NOT_READY', 'the node has not described itself yet')
    return own
  }
  let isStarted = false
  /** Why the node does not serve yet: an SU may not sign before it has asked Arweave and its peers about its key. */
  const notReady = (): string | undefined => (isStarted ? scheduler?.obstacle()?.message : 'the node is starting')
  const status = (): Promise<NodeStatus> =>
    nodeStatus(
      {
        ...{ address, version, network: params.network, host, peers, directory, assignments, watcher },
        ...{ scheduler, settler, compute, messenger, economy, httpUrl },
        isReady: () => notReady() === undefined,
        grpcPort: () => grpc.port,
      },
      options,
    )
  const strangers = strangersLedger(clock, telemetry.metrics)
  const doorway = { memberToken, telemetry, version, certificate, address, directory, units, status, record }
  const grpc: GrpcServer = grpcDoor(
    {
      ...{ ...doorway, network: { name: params.network, hash: network } },
      ...{ host, peers, watcher, session, tracer, scheduler, strangers },
    },
    options,
  )
  const http: HttpServer = httpDoor(
    {
      ...{ ...doorway, arweave, clock, remote, grpc, scheduler: routedScheduler },
      isScheduler: scheduler !== undefined,
      notReady,
    },
    options,
  )
  const httpUrl = (): string => options.httpAdvertise.replace(/\/+$/, '') || http.url
  const location =
    scheduler === undefined
      ? undefined
      : new LocationPublisher({
          signer,
          arweave,
          clock,
          telemetry,
          url: () => `${httpUrl()}/su`,
          network,
          session: () => session.current,
        })

  const admin = new AdminServer(
    { log, calls: adminCalls({ host, gossip, directory: peers, strangers, telemetry, status }) },
    adminSocketPath(options.dataDir),
  )

  // Doors and the advertisement open last and close first; the units behind them stop after.
  const parts: readonly (Component | undefined)[] = [
    new CheckThreads(telemetry),
    new SignThread(telemetry),
    tunnel,
    remote,
    abroad,
    host,
    gossip,
    pool,
    scheduler,
    settler,
    followed,
    compute,
    settledItems,
    messenger,
    watcher,
    intake,
    economy,
    desk,
    heir,
    answers,
    plaintiff,
    reporter,
    grpc,
    http,
    peers,
    location,
    admin,
  ]
  const components = new ComponentList(
    'node',
    parts.filter(part => part !== undefined),
  )
  return {
    components,
    telemetry,
    http,
    record,
    status,
    ready: () => {
      isStarted = true
      log.debug('node-ready')
    },
  }
}

/** Whether a signer was the host when it ordered this: then today's host may show it. */
const wasHost =
  (economy: EconomyFollower | undefined) =>
  ({ process, epoch, scheduler }: Assignment): boolean =>
    economy !== undefined &&
    economy.newestEpoch(process) > 0 &&
    economy.epochsOf(process, scheduler).some(past => past.epoch === epoch && past.scheduler === scheduler)

import type { GatewayClient } from '../arweave/gateway-client.ts'
import { cuRoutes } from '../http/cu-routes.ts'
import { grpcWebRoutes } from '../http/grpc-web-routes.ts'
import { hyperbeamRoutes } from '../http/hyperbeam-routes.ts'
import { liveRoutes } from '../http/live-routes.ts'
import { muRoutes } from '../http/mu-routes.ts'
import { opsRoutes } from '../http/ops-routes.ts'
import { recent } from '../http/recent.ts'
import { HttpServer } from '../http/server.ts'
import { suRoutes } from '../http/su-routes.ts'
import type { Clock } from '../lib/clock.ts'
import { AoError } from '../lib/errors.ts'
import { hostAndPort, reachableHost } from '../lib/reachable-host.ts'
import type { Certificate } from '../network/grpc/certificate.ts'
import type { GrpcUnits } from '../network/grpc/clients.ts'
import { maxRecalled } from '../network/grpc/recall.ts'
import { GrpcServer } from '../network/grpc/server.ts'
import type { Libp2pDirectory } from '../network/libp2p/directory.ts'
import type { Libp2pHost } from '../network/libp2p/host.ts'
import { type PeerLedger, strangersLedger } from '../network/libp2p/peer-ledger.ts'
import { verifyRecord } from '../network/libp2p/record-rules.ts'
import type { PeerDirectory } from '../ports/peers.ts'
import type { OwnSession } from '../ports/session.ts'
import type { Compute, Messenger, Scheduler } from '../ports/units.ts'
import type { Address } from '../protocol/ids.ts'
import type { UnitRecord } from '../protocol/unit-record.ts'
import { LocationPublisher } from '../units/scheduler/location.ts'
import type { SchedulerUnit } from '../units/scheduler/scheduler.ts'
import type { UnitTracer } from '../units/trace/trace.ts'
import type { Watcher } from '../units/watcher/watcher.ts'
import { AdminServer, adminSocketPath } from './admin.ts'
import { adminCalls } from './admin-calls.ts'
import type { NodeOptions } from './settings.ts'
import { type NodeStatus, nodeStatus } from './status.ts'
import type { NodeTelemetry } from './telemetry.ts'
import { sharedOf, type WireBase } from './wire-base.ts'
import type { WiredCourt } from './wire-court.ts'
import { callerLimits, type WiredNetwork } from './wire-network.ts'
import type { WiredRoles } from './wire-roles.ts'

// What the outside reaches: the gRPC services and the HTTP routes, and the units that they lead to.

/** The doors of a node, what it says of itself there, and where it says that they are. */
export function wireDoors(base: WireBase, network: WiredNetwork, roles: WiredRoles, { watcher }: WiredCourt) {
  const { options, telemetry, version, certificate, address, params, networkHash, session, clock, arweave, room } = base
  const { host, gossip, peers, directory, remote, memberToken, economy } = network
  const { scheduler, settler, compute, messenger, assignments, units, tracer } = roles
  const record = (): UnitRecord => {
    const own = directory.get(address)
    if (own === undefined) throw new AoError('NOT_READY', 'the node has not described itself yet')
    return own
  }
  let isStarted = false
  /** Why the node does not serve: an SU may not sign before it has asked Arweave and its peers about its key. */
  const notReady = (): string | undefined =>
    isStarted ? (room.shortage() ?? scheduler?.obstacle())?.message : 'the node is starting'
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
  const named = { name: params.network, hash: networkHash }
  const grpc: GrpcServer = grpcDoor(
    { ...doorway, ...{ network: named, host, peers, watcher, session, tracer, scheduler, strangers } },
    options,
  )
  const http: HttpServer = httpDoor(
    {
      ...{ ...doorway, arweave, clock, remote, grpc, notReady },
      scheduler: units.scheduler,
      isScheduler: scheduler !== undefined,
    },
    options,
  )
  const httpUrl = (): string => options.httpAdvertise.replace(/\/+$/, '') || http.url
  const location =
    scheduler &&
    new LocationPublisher({
      ...{ ...sharedOf(base), network: networkHash },
      url: () => `${httpUrl()}/su`,
      session: () => session.current,
    })
  const calls = adminCalls({ host, gossip, directory: peers, strangers, telemetry, status })
  const admin = new AdminServer({ log: telemetry.log, calls }, adminSocketPath(options.dataDir))
  const ready = (): void => {
    isStarted = true
    telemetry.log.debug('node-ready')
  }
  return { grpc, http, location, admin, record, status, ready }
}

interface Doorway {
  readonly telemetry: NodeTelemetry
  readonly version: string
  readonly certificate: Certificate
  readonly address: Address
  readonly directory: PeerDirectory
  /** Of a private network: what callers show that are no units of it. */
  readonly memberToken: string | undefined
  /** The units that answer a call: this node's own where it has the role. */
  readonly units: { readonly scheduler: Scheduler; readonly compute: Compute; readonly messenger: Messenger }
  status(): Promise<NodeStatus>
  /** @throws AoError `NOT_READY` before the node has described itself. */
  record(): UnitRecord
}

interface GrpcDoorway extends Doorway {
  readonly network: { readonly name: string; readonly hash: string }
  readonly host: Libp2pHost
  readonly peers: Libp2pDirectory
  readonly watcher: Watcher
  readonly session: OwnSession
  readonly tracer: UnitTracer
  /** What there is against callers that are no units, by their IP address. */
  readonly strangers: PeerLedger
  readonly scheduler: SchedulerUnit | undefined
}

/** The gRPC services. A call is answered here or refused, never passed on: no two nodes hand one to each other for ever. */
function grpcDoor(way: GrpcDoorway, options: NodeOptions): GrpcServer {
  const { telemetry, host, peers, directory, watcher, network, session, scheduler } = way
  return new GrpcServer(
    {
      ...telemetry,
      units: way.units,
      callers: {
        identify: der => peers.byCertificate(der),
        memberToken: way.memberToken,
        isRefused: ({ peer }) => host.isRefused(peer),
        onOffence: (caller, offence) =>
          typeof caller === 'string' ? way.strangers.blame(caller, offence) : host.ledger.blame(caller.peer, offence),
      },
      node: {
        record: () => way.record().raw,
        records: () => directory.all().map(({ raw }) => raw),
        take: async bytes => {
          scheduler?.onRecord(await verifyRecord(bytes, network.hash))
          await peers.take(bytes)
        },
        recall: of => ({
          record: directory.get(of)?.raw,
          assignments: watcher.recall(of, maxRecalled).map(({ raw }) => raw),
          session: of === way.address ? session.current : undefined,
        }),
        version: way.version,
        network: network.name,
        arweave: options.arweaveUrl,
        status: async () => ({ ...(await way.status()) }),
        tracer: way.tracer,
      },
    },
    {
      host: options.grpcHost,
      port: options.grpcPort,
      certificate: way.certificate,
      callerLimits: callerLimits(options),
    },
  )
}

interface HttpDoorway extends Doorway {
  /** The SU to ask, over the network where this node is none: unlike gRPC, HTTP passes on what the node does not do. */
  readonly scheduler: Scheduler
  readonly isScheduler: boolean
  readonly arweave: GatewayClient
  readonly clock: Clock
  readonly remote: GrpcUnits
  readonly grpc: GrpcServer
  /** Why the node does not serve yet; undefined if it does. */
  notReady(): string | undefined
}

/** The HTTP routes of AO clients and operators. */
function httpDoor(way: HttpDoorway, options: NodeOptions): HttpServer {
  const { telemetry, address, directory, units, scheduler, arweave, clock, remote, grpc, certificate } = way
  const anyScheduler = (): Address => (way.isScheduler ? undefined : directory.find('SU')[0]?.address) ?? address
  const head = recent(() => arweave.head(), { ms: 1000, clock })
  const self = () => ({
    address,
    grpc: hostAndPort(reachableHost(options.grpcHost), grpc.port),
    certificate: certificate.der,
  })
  return new HttpServer(
    {
      ...telemetry,
      routes: [
        opsRoutes({ notReady: way.notReady, status: way.status, metricsText: telemetry.metricsText }),
        muRoutes({ messenger: units.messenger, scheduler }, options),
        suRoutes({ scheduler, address: anyScheduler, head, clock }, options),
        cuRoutes({ compute: units.compute, address, clock }),
        liveRoutes({ scheduler, compute: units.compute }),
        grpcWebRoutes(remote.webBridge(self)),
        hyperbeamRoutes({ ...units, address: () => allInOne(way.record(), directory) }, options),
      ],
    },
    { host: options.httpHost, port: options.httpPort, version: way.version, memberToken: way.memberToken },
  )
}

/**
 * Who is named where a client knows one address for everything: this node, else another that orders and pushes both, so
 * that what is spawned believes what is pushed to it; else a unit that orders.
 */
function allInOne(own: UnitRecord, directory: PeerDirectory): Address {
  const orders = directory.find('SU')
  const both = [own, ...orders].find(({ roles }) => roles.includes('SU') && roles.includes('MU'))
  return (both ?? orders[0] ?? own).address
}

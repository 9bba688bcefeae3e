import type { Json } from '../lib/json.ts'
import { hostAndPort, reachableHost } from '../lib/reachable-host.ts'
import type { Libp2pDirectory } from '../network/libp2p/directory.ts'
import type { Libp2pHost } from '../network/libp2p/host.ts'
import type { AssignmentLog } from '../ports/assignment-log.ts'
import type { PeerDirectory } from '../ports/peers.ts'
import type { Address } from '../protocol/ids.ts'
import type { ComputeUnit } from '../units/compute/compute.ts'
import type { EconomyFollower } from '../units/economy/follower.ts'
import type { MessengerUnit } from '../units/messenger/messenger.ts'
import type { SchedulerUnit } from '../units/scheduler/scheduler.ts'
import type { Settler } from '../units/settler/settler.ts'
import type { Watcher } from '../units/watcher/watcher.ts'
import type { NodeOptions } from './settings.ts'

/** What `/status`, `aonet status` and `aonet testnet status` show of a node. */
export type NodeStatus = { readonly [key: string]: Json }

export interface StatusOf {
  readonly address: Address
  readonly version: string
  readonly network: string
  readonly host: Libp2pHost
  readonly peers: Libp2pDirectory
  readonly directory: PeerDirectory
  readonly assignments: AssignmentLog
  readonly watcher: Watcher
  readonly scheduler: SchedulerUnit | undefined
  readonly settler: Settler | undefined
  readonly compute: ComputeUnit | undefined
  readonly messenger: MessengerUnit | undefined
  readonly economy: EconomyFollower | undefined
  isReady(): boolean
  grpcPort(): number
  httpUrl(): string
}

export async function nodeStatus(of: StatusOf, options: NodeOptions): Promise<NodeStatus> {
  const { host, scheduler, settler, compute, messenger, economy } = of
  return {
    address: of.address,
    roles: options.roles,
    version: of.version,
    network: of.network,
    pid: process.pid,
    ready: of.isReady(),
    peer: host.peerId,
    multiaddrs: host.multiaddrs,
    grpc: hostAndPort(reachableHost(options.grpcHost), of.grpcPort()),
    http: of.httpUrl(),
    arweave: options.arweaveUrl,
    peers: host.peers.size,
    units: of.directory.all().length,
    gossip: of.peers.selfTest.health,
    ...(scheduler === undefined ? {} : { scheduler: { assignments: await of.assignments.size() } }),
    ...(settler === undefined ? {} : { settler: { ...(await settler.status()) } as unknown as Json }),
    ...(compute === undefined ? {} : { compute: { ...compute.status() } }),
    ...(messenger === undefined ? {} : { messenger: await messenger.status() }),
    evidence: of.watcher.evidence().length,
    ...(economy === undefined ? {} : { economy: economy.status() }),
  }
}

import { readFileSync } from 'node:fs'
import { AoError } from '../lib/errors.ts'
import { memberToken } from '../lib/member-token.ts'
import { hostAndPort, reachableHost } from '../lib/reachable-host.ts'
import type { CallerLimits } from '../network/grpc/callers.ts'
import { GrpcUnits } from '../network/grpc/clients.ts'
import type { GrpcServer } from '../network/grpc/server.ts'
import { Libp2pDirectory } from '../network/libp2p/directory.ts'
import type { OwnRecord } from '../network/libp2p/directory-options.ts'
import { Libp2pGossip } from '../network/libp2p/gossip.ts'
import { GrpcTunnel } from '../network/libp2p/grpc-tunnel.ts'
import { defaultHostLimits, Libp2pHost } from '../network/libp2p/host.ts'
import type { Assignment } from '../protocol/assignment.ts'
import { maxWarm, warmPrefixLength } from '../protocol/unit-record.ts'
import { LevelEconomyStore } from '../storage/level-economy-store.ts'
import { LevelRecordStore } from '../storage/level-record-store.ts'
import type { ComputeUnit } from '../units/compute/compute.ts'
import type { EconomyFollower } from '../units/economy/follower.ts'
import { StakedDirectory } from '../units/economy/staked-directory.ts'
import { LoadMeter } from './load.ts'
import { peerMemory } from './peer-memory.ts'
import type { NodeOptions } from './settings.ts'
import { sharedOf, type WireBase } from './wire-base.ts'
import { economyFollower } from './wire-units.ts'

/** What is built on the network, and which it tells others about. */
interface OnTop {
  grpc(): Pick<GrpcServer, 'port' | 'inject'>
  compute(): Pick<ComputeUnit, 'status' | 'warm'> | undefined
  /** Module formats that are evaluated here. */
  formats(): readonly string[]
}

export type WiredNetwork = ReturnType<typeof wireNetwork>

/** Peers, what is known of them, and the ways to their units. */
export function wireNetwork(base: WireBase, { grpc, compute, formats }: OnTop) {
  const { options, keys, telemetry, store, certificate, address, networkHash, session } = base
  const host = libp2pHost(base)
  const gossip = new Libp2pGossip({ ...telemetry, host })
  const load = new LoadMeter()
  const describe = (): OwnRecord => ({
    roles: options.roles,
    peer: host.peerId,
    multiaddrs: host.multiaddrs,
    grpc: options.grpcAdvertise || hostAndPort(reachableHost(options.grpcHost), grpc().port),
    tunnelled: options.relay,
    certificate: certificate.der,
    network: networkHash,
    formats: formats(),
    peerSignature: keys.peerSignature(networkHash),
    session: session.current,
    load: load.percent(compute()?.status().waiting ?? 0),
    warm: compute()
      ?.warm(maxWarm)
      .map(process => process.slice(0, warmPrefixLength)),
  })
  const saved = new LevelRecordStore(store)
  const peers = new Libp2pDirectory({ ...telemetry, ...sharedOf(base), host, gossip, saved }, { describe })
  const economy = economyFollower({ ...sharedOf(base), store: new LevelEconomyStore(store) }, options)
  const directory = economy === undefined ? peers : new StakedDirectory(peers, economy)
  const memberToken = memberTokenOf(options)
  const tunnel = new GrpcTunnel({ ...telemetry, host, serve: connection => grpc().inject(connection) })
  const remote = new GrpcUnits(telemetry, { identity: certificate, memberToken, tunnel, wasHost: wasHost(economy) })
  const memory = peerMemory({
    directory,
    remote,
    self: address,
    record: () => peers.signed,
    expected: options.bootstrap.length > 0,
  })
  return { host, gossip, peers, economy, directory, memberToken, tunnel, remote, memory }
}

const libp2pHost = ({ options, keys, telemetry, networkHash, isTestnet, version }: WireBase): Libp2pHost =>
  new Libp2pHost(telemetry, {
    privateKey: keys.peer,
    listen: options.p2pListen,
    announce: options.p2pAnnounce,
    bootstrap: options.bootstrap,
    mdns: options.mdns,
    deny: options.denyPeers,
    allow: options.allowPeers,
    preSharedKey: preSharedKeyOf(options),
    dht: options.dht,
    relay: options.relay,
    relayServer: options.relayServer,
    upnp: options.upnp,
    autonat: options.autonat,
    networkHash,
    allowSameIp: isTestnet,
    version,
    limits: defaultHostLimits,
  })

/** What callers may ask over gRPC: twice the rate in a burst. */
export const callerLimits = ({ grpcCallsPerSecond, grpcUnitCallsPerSecond }: NodeOptions): CallerLimits => ({
  stranger: { perSecond: grpcCallsPerSecond, burst: 2 * grpcCallsPerSecond, maxOpen: 512 },
  unit: { perSecond: grpcUnitCallsPerSecond, burst: 2 * grpcUnitCallsPerSecond, maxOpen: 1024 },
})

/** What callers over gRPC and HTTP have to show who are no units of the private network; undefined if it is open. */
function memberTokenOf(options: NodeOptions): string | undefined {
  const preSharedKey = preSharedKeyOf(options)
  return preSharedKey && memberToken(preSharedKey)
}

/** @throws AoError `INVALID_CONFIG` if the file cannot be read. */
function preSharedKeyOf({ privateNetworkKeyFile: file }: NodeOptions): Uint8Array | undefined {
  if (file === '') return undefined
  try {
    return readFileSync(file)
  } catch (cause) {
    const hint = 'Check the path and that this user may read it.'
    throw new AoError('INVALID_CONFIG', 'the key of the private network cannot be read', { file }, { cause, hint })
  }
}

/** Whether a signer was the host when it ordered this: then today's host may show it. */
const wasHost =
  (economy: EconomyFollower | undefined) =>
  ({ process, epoch, scheduler }: Assignment): boolean =>
    economy !== undefined &&
    economy.newestEpoch(process) > 0 &&
    economy.epochsOf(process, scheduler).some(past => past.epoch === epoch && past.scheduler === scheduler)

import { readFileSync } from 'node:fs'
import { AoError } from '../lib/errors.ts'
import { memberToken } from '../lib/member-token.ts'
import type { Telemetry } from '../lib/telemetry.ts'
import type { CallerLimits } from '../network/grpc/callers.ts'
import { defaultHostLimits, Libp2pHost } from '../network/libp2p/host.ts'
import type { NodeKeys } from './identity.ts'
import type { NodeOptions } from './settings.ts'

// What the network's parts get of the node's options.

export interface HostWiring {
  readonly keys: NodeKeys
  readonly networkHash: string
  readonly isTestnet: boolean
  readonly version: string
}

export const libp2pHost = (options: NodeOptions, telemetry: Telemetry, wiring: HostWiring): Libp2pHost =>
  new Libp2pHost(telemetry, {
    privateKey: wiring.keys.peer,
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
    networkHash: wiring.networkHash,
    allowSameIp: wiring.isTestnet,
    version: wiring.version,
    limits: defaultHostLimits,
  })

/** What callers may ask over gRPC: twice the rate in a burst. */
export const callerLimits = ({ grpcCallsPerSecond, grpcUnitCallsPerSecond }: NodeOptions): CallerLimits => ({
  stranger: { perSecond: grpcCallsPerSecond, burst: 2 * grpcCallsPerSecond, maxOpen: 512 },
  unit: { perSecond: grpcUnitCallsPerSecond, burst: 2 * grpcUnitCallsPerSecond, maxOpen: 1024 },
})

/** What callers over gRPC and HTTP have to show who are no units of the private network; undefined if it is open. */
export function memberTokenOf(options: NodeOptions): string | undefined {
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

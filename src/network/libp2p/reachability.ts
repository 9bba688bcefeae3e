import '../../lib/polyfill.ts'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import type { Libp2pOptions } from 'libp2p'

/** How a node is reached that others cannot simply dial. */
export interface ReachabilityOptions {
  /** Hold a place at relays, where others reach this node, and try to get from there to a direct connection (DCUtR). */
  readonly relay?: boolean | undefined
  /** Be a relay for others. */
  readonly relayServer?: boolean | undefined
  /** Ask the router of the local net to forward the port (UPnP). */
  readonly upnp?: boolean | undefined
  /** Ask others whether they can dial this node's addresses, and answer the same question of others. */
  readonly autonat?: boolean | undefined
}

/** Nodes for which one relay keeps a place, and streams through it of one of them. */
const maxReservations = 64
export const maxRelayedStreams = 256
/** Milliseconds until a place must be asked for anew. */
const reservationMs = 10 * 60_000

/**
 * Every node can call one that is behind a relay; what the settings add is said in `ReachabilityOptions`.
 *
 * What most nodes do not use is loaded only where it is: together they would be a tenth of a start.
 *
 * A place at a relay is not limited in bytes or time, as libp2p's default is: a unit serves over it. Its bound is the
 * number of places; a relay is a machine whose operator chose to be one.
 */
export async function reachability({ relay, relayServer, upnp, autonat }: ReachabilityOptions): Promise<{
  readonly transport: ReturnType<typeof circuitRelayTransport>
  readonly listen: readonly string[]
  readonly services: NonNullable<Libp2pOptions['services']>
}> {
  const server = circuitRelayServer({
    maxInboundHopStreams: maxRelayedStreams,
    maxOutboundHopStreams: maxRelayedStreams,
    maxOutboundStopStreams: maxRelayedStreams,
    reservations: { maxReservations, reservationTtl: reservationMs, applyDefaultLimit: false },
  })
  return {
    transport: circuitRelayTransport({ maxInboundStopStreams: maxRelayedStreams }),
    listen: relay === true ? ['/p2p-circuit'] : [],
    services: {
      ...(relay === true ? { dcutr: (await import('@libp2p/dcutr')).dcutr() } : {}),
      ...(relayServer === true ? { relay: server } : {}),
      ...(upnp === true ? { upnp: (await import('@libp2p/upnp-nat')).uPnPNAT() } : {}),
      ...(autonat === true ? { autonat: (await import('@libp2p/autonat')).autoNAT() } : {}),
    } as NonNullable<Libp2pOptions['services']>,
  }
}

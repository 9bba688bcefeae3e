import type { AbortOptions } from '../../lib/abort.ts'
import type { Component } from '../../lib/component.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { Recalled } from '../../ports/session.ts'
import type { Compute, Messenger, RemoteUnits, Scheduler } from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import type { Address } from '../../protocol/ids.ts'
import { ChannelPool, type Peer, type PoolOptions } from './channel-pool.ts'
import { type UnitExchanges, unitExchanges } from './exchange-kinds.ts'
import { recallUnit } from './recall.ts'
import { type ComputeDeadlines, RemoteCompute } from './remote-compute.ts'
import { type MessengerDeadlines, RemoteMessenger } from './remote-messenger.ts'
import { RemoteScheduler, type SchedulerDeadlines } from './remote-scheduler.ts'
import { WebBridge } from './web-bridge.ts'

export type Deadlines = SchedulerDeadlines & ComputeDeadlines & MessengerDeadlines

export interface GrpcUnitsOptions extends Partial<PoolOptions> {
  /** Milliseconds; what is left out has a default. */
  readonly deadlines?: Partial<Deadlines> | undefined
  /** Whether a signer hosted a Process when it ordered this; without it only who answers counts. */
  readonly wasHost?: ((assignment: Assignment) => boolean) | undefined
}

export const defaultDeadlines: Deadlines = {
  /** An SU answers after a disk sync: 15 seconds is a very bad day. */
  scheduleMs: 15_000,
  lookupMs: 10_000,
  streamIdleMs: 30_000,
  /** A CU may have a long schedule to replay first. */
  resultMs: 120_000,
  dryRunMs: 60_000,
  submitMs: 30_000,
  crankMs: 30_000,
}

export const defaultPool: PoolOptions = {
  maxChannels: 256,
  maxCallsPerChannel: 1024,
  idleMs: 5 * 60_000,
  maxMessageBytes: 12 * 1024 * 1024,
}

/** Units of other nodes with the face of local ones, over pooled and pinned TLS channels. */
export class GrpcUnits implements RemoteUnits, Component {
  readonly name = 'grpc-clients'
  readonly #pool: ChannelPool
  readonly #streams: UnitExchanges
  readonly #deadlines: Deadlines
  readonly #wasHost: GrpcUnitsOptions['wasHost']

  constructor({ metrics }: Telemetry, { deadlines, wasHost, ...pool }: GrpcUnitsOptions = {}) {
    const fallbacks = metrics.counter(
      'aonet_network_grpc_fallbacks_total',
      'Units called over peer-to-peer streams since their endpoint could not be dialled',
    )
    this.#pool = new ChannelPool({ onFallback: () => fallbacks.add(), ...defaultPool, ...pool })
    this.#streams = unitExchanges(this.#pool)
    this.#wasHost = wasHost
    this.#deadlines = { ...defaultDeadlines, ...deadlines }
    metrics.gauge('aonet_network_grpc_channels', 'gRPC channels open to other nodes', () => this.#pool.size)
  }

  async start(): Promise<void> {}

  /** Ends every open call with `STOPPING` and closes the channels. */
  stop(): Promise<void> {
    return this.#pool.close()
  }

  scheduler(record: Peer): Scheduler {
    return new RemoteScheduler(
      { pool: this.#pool, streams: this.#streams, wasHost: this.#wasHost },
      record,
      this.#deadlines,
    )
  }

  compute(record: Peer): Compute {
    return new RemoteCompute({ pool: this.#pool, streams: this.#streams }, record, this.#deadlines)
  }

  /** Answers gRPC-Web by calling this node's own services. */
  webBridge(self: () => Peer): WebBridge {
    return new WebBridge(this.#pool, self, defaultPool)
  }

  /** What another node remembers of a unit. @throws AoError `PEER_UNREACHABLE` | `DEADLINE` | `ABORTED` | `UNSUPPORTED` */
  recall(peer: Peer, about: { address: Address; record: Uint8Array }, options: AbortOptions = {}): Promise<Recalled> {
    return recallUnit(this.#pool, peer, about, options)
  }

  messenger(record: Peer): Messenger {
    return new RemoteMessenger({ pool: this.#pool, streams: this.#streams }, record, this.#deadlines)
  }
}

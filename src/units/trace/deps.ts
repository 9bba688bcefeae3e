import type { PeerDirectory } from '../../ports/peers.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { ItemIndex } from '../../ports/trace.ts'
import type { Compute, LocalUnits, RemoteUnits, Scheduler } from '../../ports/units.ts'

export interface TraceDeps {
  readonly local: Pick<LocalUnits, 'address' | 'messenger'>
  /** Routed: any Process of the network. */
  readonly scheduler: Scheduler
  /** Routed: any Process of the network. */
  readonly compute: Compute
  readonly directory: Pick<PeerDirectory, 'find' | 'get'>
  readonly remote: Pick<RemoteUnits, 'messenger'>
  readonly arweave: Pick<ArweaveClient, 'status'> & ItemIndex
}
export interface TraceOptions {
  /** Messages looked at in one trace. */
  readonly maxMessages: number
  /** Of them side by side. */
  readonly atOnce: number
  /** MUs asked, best first. */
  readonly maxMessengers: number
  /** For one question to one unit. */
  readonly askMs: number
  /** For a whole trace. */
  readonly traceMs: number
  /** Traces at once. */
  readonly maxTraces: number
}

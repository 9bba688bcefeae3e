import type { Clock } from '../../lib/clock.ts'
import type { RateLimit } from '../../lib/rate-limiter.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { CrankQueue } from '../../ports/crank-queue.ts'
import type { HostTable } from '../../ports/hosts.ts'
import type { MonitorStore } from '../../ports/monitor-store.ts'
import type { PeerDirectory } from '../../ports/peers.ts'
import type { PromiseStore } from '../../ports/promise-store.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { Compute, RemoteUnits, Scheduler } from '../../ports/units.ts'
import { defaultItemLimits } from '../../protocol/data-item.ts'
import type { Signer } from '../../protocol/keys.ts'
import type { Routes } from '../routing/route.ts'
import type { CrankRunOptions } from './crank.ts'
import type { DrainOptions } from './drain.ts'
import type { ForeignPartsDeps } from './foreign-parts.ts'
import type { MonitorsOptions } from './monitors.ts'
import type { PromiseCourt, PromisesOptions } from './promises.ts'
import type { PurgeOptions } from './purge.ts'
import type { PusherOptions } from './pusher.ts'
import type { RevivalOptions } from './revival.ts'

export interface MessengerUnitDeps extends Pick<ForeignPartsDeps, 'foreignSigner'> {
  /** Its address is what the `Authority` tags of Processes name. */
  readonly signer: Signer
  readonly queue: CrankQueue
  readonly monitors: MonitorStore
  readonly promises: PromiseStore
  readonly court?: PromiseCourt | undefined
  readonly routes: Pick<Routes, 'process' | 'foreign' | 'foreignAt' | 'hostOf'>
  readonly hosts?: HostTable | undefined
  /** Routed: any Process of the network. */
  readonly scheduler: Scheduler
  /** Routed: any Process of the network. */
  readonly compute: Compute
  /** Whether an SU and a CU of this program, under the same key, write to the store that the queue is in. */
  readonly sharesStore?: boolean | undefined
  readonly directory: PeerDirectory
  readonly remote: RemoteUnits
  readonly arweave: ArweaveClient
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** From 0 to 1; default `Math.random`. */
  readonly random?: () => number
}

export interface MessengerUnitOptions
  extends CrankRunOptions,
    PusherOptions,
    DrainOptions,
    PurgeOptions,
    MonitorsOptions,
    PromisesOptions,
    RevivalOptions {
  readonly maxItemBytes: number
  /** Open crank jobs, above which no new message is taken. What a taken message sets off is always queued. */
  readonly maxOpenJobs: number
  readonly maxFollowers: number
  /** Messages of one wallet. What Processes push is not counted. */
  readonly perWallet: RateLimit
}
export const defaultMessengerUnitOptions: MessengerUnitOptions = {
  maxItemBytes: defaultItemLimits.maxBytes,
  maxOpenJobs: 100_000,
  maxFollowers: 1_000,
  perWallet: { perSecond: 500, burst: 5_000 },
  maxRunning: 64,
  pollMs: 1_000,
  maxLanes: 16,
  maxDepth: 1_000,
  maxParts: 1_000,
  maxRootJobs: 10_000,
  resultTimeoutMs: 60_000,
  retryMs: 500,
  maxRetryMs: 30_000,
  maxRetryAgeMs: 10 * 60_000,
  walletAfterAttempts: 2,
  keepEndedMs: 24 * 60 * 60_000,
  keepEnded: 100_000,
  purgeEveryMs: 10_000,
  maxMonitors: 10_000,
  monitorEveryMs: 5_000,
  monitorTimeoutMs: 60_000,
  revivalEveryMs: 1_000,
  maxPromises: 10_000,
  promisePollMs: 1_000,
  maxPromiseRetryMs: 30_000,
}

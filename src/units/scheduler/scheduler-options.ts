import type { Clock } from '../../lib/clock.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { AssignmentLog } from '../../ports/assignment-log.ts'
import type { HostTable } from '../../ports/hosts.ts'
import type { Gossip } from '../../ports/peers.ts'
import type { ScheduleFloorStore } from '../../ports/schedule-floor.ts'
import type { OwnSession, PeerMemory } from '../../ports/session.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { SignGuard } from '../../ports/sign-guard.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { type DataItem, defaultItemLimits } from '../../protocol/data-item.ts'
import type { Signer } from '../../protocol/keys.ts'

export interface SchedulerUnitDeps {
  /** Its address is what the `Scheduler` tag of each hosted Process names. */
  readonly signer: Signer
  readonly log: AssignmentLog
  /** Over the same store as the log. */
  readonly guard: SignGuard
  readonly floor: ScheduleFloorStore
  readonly arweave: ArweaveClient
  readonly gossip: Gossip
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Which start this is, and whom to ask whether it is the newest and only one of its key. */
  readonly session?: OwnSession | undefined
  readonly peers?: PeerMemory | undefined
  /** Told of the newest durable Assignment of each Process of a batch: a CU in this program need not wait to be asked. */
  readonly onOrdered?: ((newest: Assignment) => void) | undefined
  /** Absent: whoever has a Process in its log hosts it. */
  readonly hosts?: HostTable | undefined
  /** What its operator does not take: throws. */
  readonly policy?: ((message: DataItem) => void) | undefined
}

export interface SchedulerUnitOptions {
  readonly maxItemBytes: number
  /** Messages queued for a nonce. */
  readonly maxPending: number
  /** Messages of one Process among them. */
  readonly maxPendingPerProcess: number
  /** Their bytes. */
  readonly maxPendingBytes: number
  /** Messages of one disk sync. */
  readonly maxBatch: number
  readonly maxBatchBytes: number
  /** Readers that follow a schedule. */
  readonly maxFollowers: number
  /** Announcements that gossip has not taken yet. */
  readonly maxUnsent: number
  readonly headPollMs: number
  /** Assignments name the block that lies so many below the newest. An embedded Arweave has no forks. */
  readonly anchorDepth: number
}
export const defaultSchedulerUnitOptions: SchedulerUnitOptions = {
  maxItemBytes: defaultItemLimits.maxBytes,
  maxPending: 10_000,
  maxPendingPerProcess: 4_000,
  maxPendingBytes: 256 * 1024 * 1024,
  maxBatch: 256, // beyond that a sync is no longer what costs: architecture.md, example 1
  maxBatchBytes: 16 * 1024 * 1024, // a larger batch would make the others wait for one disk write
  maxFollowers: 10_000,
  maxUnsent: 10_000,
  headPollMs: 5_000,
  anchorDepth: 0,
}

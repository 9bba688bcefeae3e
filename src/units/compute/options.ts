import type { CheckpointsOptions } from './checkpoint.ts'
import type { FleetOptions } from './fleet.ts'
import type { PastOptions } from './past.ts'
import type { PublishedOptions } from './published.ts'
import type { ReplicaOptions } from './replay.ts'
import type { PageOptions } from './results-page.ts'
import type { UnaskedOptions } from './unasked.ts'

/** What a CU allows itself. */
export interface ComputeUnitOptions
  extends ReplicaOptions,
    FleetOptions,
    CheckpointsOptions,
    PublishedOptions,
    PageOptions,
    PastOptions,
    UnaskedOptions {
  /** Callers that wait for an evaluation. */
  readonly maxWaiting: number
  /** Dry-runs, evaluated or waiting; beside `maxWaiting`, so that they leave the others theirs. */
  readonly maxDryRuns: number
  readonly maxModules: number
  /** Attestations that gossip has not taken yet. */
  readonly maxUnsent: number
  /** Memories that are being read. */
  readonly maxDumps: number
  /** At a stop: how long messages that were begun may take to end, in milliseconds. */
  readonly stopMs: number
}
export const defaultComputeUnitOptions: ComputeUnitOptions = {
  maxWaiting: 1_000,
  maxDryRuns: 256,
  maxLive: 256,
  maxLiveBytes: 1 << 30,
  maxModules: 8,
  maxAhead: 16,
  maxReviving: 2,
  maxUnsent: 10_000,
  maxDumps: 4,
  maxPast: 2,
  pastMs: 60_000,
  maxReopens: 3,
  readStallMs: 30_000,
  rowsAhead: 16,
  maxUnderWay: 16,
  maxUnderWayMs: 100,
  maxUnrecorded: 64,
  maxUnrecordedBytes: 4 << 20,
  checkpointAfterMs: 1_500,
  notWorthMs: 20,
  maxSaving: 2,
  maxCheckpointBytes: 20 * 2 ** 30,
  sweepEveryMs: 10_000,
  sweepRows: 200,
  publishEveryMs: 0,
  trustedOwners: [],
  stopMs: 2_000,
  catchUpMs: 10_000,
  maxPageBytes: 8 * 1024 * 1024,
}

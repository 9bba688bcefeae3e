import type { HostEpoch, PlaceVerdict } from '../economy/host-epochs.ts'
import type { Assignment } from '../protocol/assignment.ts'
import type { Address, ProcessId } from '../protocol/ids.ts'

/** Who hosts which Process, as AO-Sec Origin has it. `first` is always the Process's own `Scheduler` tag. */
export interface HostTable {
  /** Who may order now; undefined while nobody may. */
  hostOf(process: ProcessId, first: Address): Hosting | undefined
  /** All epochs that are remembered, the newest last. */
  epochsOf(process: ProcessId, first: Address): readonly HostEpoch[]
  /** The newest epoch, whoever hosts it; 0 for a Process that never changed its host. */
  newestEpoch(process: ProcessId): number
  /** Processes that are hosted and have changed their host. */
  rehosted(): readonly ProcessId[]
  /** May the Assignment stand in its Process's log? */
  judge(assignment: Assignment, first: Address): PlaceVerdict
}
export interface Hosting {
  readonly scheduler: Address
  /** Counts up with each host. */
  readonly epoch: number
}

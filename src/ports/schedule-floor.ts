import type { BlockAnchor } from '../protocol/assignment.ts'

/** No Assignment may be signed with an earlier time or height than these: somebody was promised so. */
export interface ScheduleFloor {
  /** Milliseconds since the Unix epoch. */
  readonly timestamp: number
  readonly block: BlockAnchor
}

/** The SU's durable note of its floor, which outlives a restart and a clock that is set back. */
export interface ScheduleFloorStore {
  get(): Promise<ScheduleFloor | undefined>
  /** Resolves when on disk. */
  put(floor: ScheduleFloor): Promise<void>
}

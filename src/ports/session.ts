import type { AbortOptions } from '../lib/abort.ts'
import type { Assignment } from '../protocol/assignment.ts'
import type { Address } from '../protocol/ids.ts'
import type { Session, UnitRecord } from '../protocol/unit-record.ts'

/** This start of the program, numbered on its data. */
export interface OwnSession {
  readonly current: Session
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number
  /** The operator has said at this start that this data is the true one. */
  readonly confirmed: boolean
  /** Goes on under a number above this one. Resolves when on disk. */
  raiseAbove(number: number): Promise<void>
}

/** What another node remembers of a unit: signed by that unit, so nobody else can have made it up. */
export interface Recalled {
  readonly record?: UnitRecord | undefined
  /** It is the unit itself, in this session. */
  readonly self?: Session | undefined
  /** The newest Assignment it saw of each Process, the latest first; not all if there are many. */
  readonly assignments: readonly Assignment[]
}

/** The memory of other nodes. */
export interface PeerMemory {
  /** Whether there ought to be somebody to ask, though perhaps not yet. */
  readonly expected: boolean
  /** What some of the nodes that are known now remember; those that do not answer are left out. */
  recall(address: Address, options?: AbortOptions): Promise<readonly Recalled[]>
  /** Whether a unit answers where its record says, and in which session. */
  sessionAt(record: UnitRecord, options?: AbortOptions): Promise<Session | undefined>
}

import type { MessageId, ProcessId } from '../protocol/ids.ts'
import type { CrankProgress } from './units.ts'

/** One message whose outbox is to be pushed. */
export interface CrankJob extends CrankProgress {
  /** The user's message that set all this off: the `Pushed-For` tag. */
  readonly root: MessageId
  /** Hops from the root; bounds runaway conversations. */
  readonly depth: number
  /** Milliseconds since the Unix epoch; not before then. */
  readonly dueAt: number
}

/** The MU's durable queue. Every change of a job is on disk before its effect is shown. */
export interface CrankQueue {
  /** Adds jobs and updates others, all or nothing; resolves when on disk. A job that exists already is not added again. */
  write(change: { readonly add?: readonly CrankJob[]; readonly update?: readonly CrankJob[] }): Promise<void>
  get(process: ProcessId, message: MessageId): Promise<CrankJob | undefined>
  /** Jobs that are neither done nor failed, earliest `dueAt` first, at most `limit`. */
  open(limit: number): Promise<readonly CrankJob[]>
  /** All jobs that a root set off. */
  ofRoot(root: MessageId): Promise<readonly CrankJob[]>
  /** How many are open. */
  size(): Promise<number>
}

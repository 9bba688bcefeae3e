import type { CronPlace } from '../protocol/cron.ts'
import type { MessageId, ProcessId } from '../protocol/ids.ts'
import type { CrankProgress } from './units.ts'

/** One message whose outbox is to be pushed. Ended jobs, done or failed, are kept for a while to be asked about. */
export interface CrankJob extends CrankProgress {
  /** The user's message that set all this off: the `Pushed-For` tag. */
  readonly root: MessageId
  /** It is of a cron message after `nonce`; `message` and `root` are then made of its place. */
  readonly cron?: CronPlace | undefined
  /** Of the host that ordered it; absent: 0. */
  readonly epoch?: number | undefined
  /** The one part that is asked for; absent: all. */
  readonly only?: number | undefined
  /** Only where a job is added: the signed bytes, kept beside it for as long as it is. */
  readonly item?: Uint8Array | undefined
  /** Milliseconds since the Unix epoch; not before then. */
  readonly dueAt: number
}

export interface CrankChange {
  readonly add?: readonly CrankJob[]
  readonly update?: readonly CrankJob[]
  /**
   * False where nobody was promised it: a killed program loses nothing, but a power cut may take it, and all that was
   * written after. Default true: it waits for the disk.
   */
  readonly sync?: boolean
}

export interface CrankWriteOptions {
  /** Hears which jobs are added before they are on disk; nothing written later gets there without them. */
  readonly onAdding?: ((added: readonly CrankJob[]) => void) | undefined
}

/** Which ended jobs may go: those that ended before a time, and the oldest of those over a number. */
export interface CrankRetention {
  /** Milliseconds since the Unix epoch. */
  readonly endedBefore: number
  readonly keepAtMost: number
  /** At most so many in one go. */
  readonly limit: number
}

/** The MU's durable queue. Every change of a job is on disk before its effect is shown. */
export interface CrankQueue {
  /**
   * Adds jobs and updates others, all or nothing; resolves when on disk, with the jobs that were added: one that
   * exists already is left as it is.
   */
  write(change: CrankChange, options?: CrankWriteOptions): Promise<readonly CrankJob[]>
  get(process: ProcessId, message: MessageId): Promise<CrankJob | undefined>
  /** Its message's signed bytes, if they were kept. */
  item(process: ProcessId, message: MessageId): Promise<Uint8Array | undefined>
  /** A part of its outbox as it was signed to go to another network, if it was; kept as long as the job. */
  signedPart(process: ProcessId, message: MessageId, index: number): Promise<Uint8Array | undefined>
  /** Resolves when it is on disk. */
  keepSignedPart(process: ProcessId, message: MessageId, index: number, item: Uint8Array): Promise<void>
  /** All jobs of messages of a Process, as far as they are kept. */
  ofProcess(process: ProcessId): Promise<readonly CrankJob[]>
  /** Jobs that are neither done nor failed, earliest `dueAt` first, at most `limit`. */
  open(limit: number): Promise<readonly CrankJob[]>
  /** All jobs that a root set off, as far as they are kept. */
  ofRoot(root: MessageId): Promise<readonly CrankJob[]>
  /** How many those are, counted up to `limit`. */
  countOfRoot(root: MessageId, limit: number): Promise<number>
  /** How many are open. */
  size(): Promise<number>
  /** How many are ended and kept. */
  ended(): Promise<number>
  /** Forgets ended jobs, longest ended first; gives how many. An open job never goes. */
  purge(retention: CrankRetention): Promise<number>
}

import type { AbortOptions } from '../lib/abort.ts'
import type { Json } from '../lib/json.ts'
import type { Assignment, ScheduledMessage } from '../protocol/assignment.ts'
import type { CronPlace } from '../protocol/cron.ts'
import type { DataItem } from '../protocol/data-item.ts'
import type { Address, Id, MessageId, Nonce, ProcessId } from '../protocol/ids.ts'
import type { Evaluation, Result } from '../protocol/result.ts'
import type { Tag } from '../protocol/tags.ts'
import type { UnitRecord } from '../protocol/unit-record.ts'
import type { ResultAt, StoredResult } from './result-store.ts'

/** Nonces `from` to `to`, both inclusive; without `to`, up to the newest at the time of asking. */
export interface NonceRange {
  readonly from: Nonce
  readonly to?: Nonce | undefined
  /** Go on after the newest, as more are assigned, until the signal fires. */
  readonly follow?: boolean | undefined
  /** What the asked node itself has, from its SU or its CU, whoever hosts the Process. */
  readonly kept?: boolean | undefined
}

/** What is asked of an SU: an item that is on Arweave already is to be ordered in a Process. */
export interface AssignRequest {
  readonly process: ProcessId
  readonly item: MessageId
  /** Says that the item is a transaction of Arweave itself, which needs confirmations. */
  readonly baseLayer: boolean
  /** Fields that the Process is not to see. */
  readonly exclude: readonly string[]
}

/** How far a schedule is complete. */
export interface ScheduleClock {
  /** Of the newest message. */
  readonly nonce: Nonce
  /** Milliseconds since the Unix epoch. */
  readonly timestamp: number
  readonly blockHeight: number
}

/** SU. `schedule` answers after the Assignment is durable; asking twice gives the same Assignment. */
export interface Scheduler {
  /** @throws AoError `WRONG_UNIT` if another SU hosts the Process. */
  schedule(message: DataItem, options?: AbortOptions): Promise<Assignment>
  /**
   * Orders an item that is on Arweave already; asking twice gives the same Assignment.
   *
   * @throws AoError `UNKNOWN_PROCESS`; `UNKNOWN_MESSAGE` while Arweave does not have the item, or not deep enough.
   */
  assign(request: AssignRequest, options?: AbortOptions): Promise<Assignment>
  /** A message is named by its id or by that of its Assignment. @throws AoError `UNKNOWN_PROCESS` | `UNKNOWN_MESSAGE` */
  assignment(process: ProcessId, at: MessageId | Nonce | 'newest', options?: AbortOptions): Promise<Assignment>
  /**
   * A promise: no message after the newest, which it names, will have an earlier time or height than these.
   *
   * @throws AoError `UNKNOWN_PROCESS` | `NOT_READY`
   */
  clock(process: ProcessId, options?: AbortOptions): Promise<ScheduleClock>
  /** The Process item itself. @throws AoError `UNKNOWN_PROCESS` */
  process(process: ProcessId, options?: ProcessLookup): Promise<DataItem>
  /** In order and without gaps. @throws AoError `UNKNOWN_PROCESS` */
  read(process: ProcessId, range: NonceRange, options?: AbortOptions): AsyncIterable<ScheduledMessage>
}

export interface ProcessLookup extends AbortOptions {
  /** Answer from what the node holds itself, and ask no other: two that both look must not wait for each other. */
  readonly here?: boolean | undefined
}

/** A message for a dry-run: nobody signs it, so it says itself who it is from. */
export interface DryRunMessage {
  readonly owner: string
  readonly from?: string | undefined
  readonly id?: string | undefined
  readonly anchor?: string | undefined
  readonly tags: readonly Tag[]
  readonly data: string
  /** Seen by the module as they are, such as `Timestamp` or `Block-Height` in the place of the newest message's. */
  readonly fields?: { readonly [name: string]: Json } | undefined
}

/** A Result with the signed Attestation of the CU that gave it. */
export interface AttestedResult {
  readonly result: Result
  /** Signed bytes of the Attestation. */
  readonly attestation: Uint8Array
  /** Only where `unstored` was asked for: resolves when it is on disk. Nobody outside of this program may see it before. */
  readonly stored?: Promise<void> | undefined
}

export interface ResultOptions extends AbortOptions {
  /** Whoever asks takes an answer from this program that is still on its way to the disk. */
  readonly unstored?: boolean | undefined
}

/** A place in a Process's schedule. `timestamp` in milliseconds since the Unix epoch. */
export type ResultBound = ResultAt | { readonly timestamp: number }

export interface ResultsQuery {
  /** Exclusive; without it from the beginning. */
  readonly after?: ResultBound | undefined
  /** Inclusive; without it up to the newest. */
  readonly to?: ResultBound | undefined
  readonly descending: boolean
  /** Cron messages alone, evaluated up to now: `Scheduler.clock`. Ascending only. */
  readonly crons?: boolean | undefined
  /** A page may be shorter for its size in bytes; `hasNext` tells. */
  readonly limit: number
}

export interface ResultsPage {
  /** In the order asked for, without gaps but for messages that failed. */
  readonly rows: readonly StoredResult[]
  /** Whether the range holds more after these. */
  readonly hasNext: boolean
}

/** Which state: after that message, or after all that came up to that time, in milliseconds since the Unix epoch. */
export type StateBound = MessageId | { readonly timestamp: number }
export interface StateOptions extends AbortOptions {
  /** Absent: the newest. An older one is made again from a checkpoint, which takes as long as evaluating from there. */
  readonly to?: StateBound | undefined
}

/** A cron message by the message before it. */
export interface CronAt {
  readonly nonce: Nonce
  readonly cron: CronPlace
}

/** The memory of a Process as one CU has it. No unit signs it. */
export interface MemoryDump {
  /** Of the last message that led to it. */
  readonly nonce: Nonce
  /** Of that message, or of the cron message after it; milliseconds since the Unix epoch. */
  readonly timestamp: number
  readonly blockHeight: number
  /** Its length. */
  readonly memoryBytes: number
  /** Gzipped. To be read to its end, or left by the signal that it was asked with. */
  readonly gzip: AsyncIterable<Uint8Array>
}

/** CU. Deterministic: equal schedule and Module give an equal `stateRoot` on every node. */
export interface Compute {
  /** Evaluates up to there first. @throws AoError `UNKNOWN_PROCESS` | `UNKNOWN_MESSAGE` | `UNKNOWN_MODULE` */
  result(process: ProcessId, at: MessageId | Nonce | CronAt, options?: ResultOptions): Promise<AttestedResult>
  /** Results of the messages that did not fail. Evaluates what is missing first, for as long as a caller may wait. */
  results(process: ProcessId, query: ResultsQuery, options?: AbortOptions): Promise<ResultsPage>
  /** Evaluates on a state and keeps nothing of it. @throws AoError `OVERLOADED` | `UNKNOWN_MESSAGE` for `to` */
  dryRun(process: ProcessId, message: DryRunMessage, options?: StateOptions): Promise<Evaluation>
  /** The memory of a state. @throws AoError as `dryRun`; `OVERLOADED` if too many are being read. */
  memory(process: ProcessId, options?: StateOptions): Promise<MemoryDump>
}

/** What an MU was first told of a message's result. All that it pushes of that message is out of this outbox. */
export interface PinnedResult {
  /** The CU that signed it. */
  readonly compute: Address
  readonly stateRoot: Id
  readonly outboxRoot: Id
  /** As the Attestation has it: cut short. */
  readonly error: string | undefined
}

/** Where one crank stands. `parts` are the outbox, in its order. */
export interface CrankProgress {
  readonly process: ProcessId
  readonly message: MessageId
  readonly nonce: Nonce
  readonly state: 'queued' | 'waiting' | 'pushing' | 'done' | 'failed'
  readonly attempts: number
  readonly parts: readonly CrankPart[]
  /** Why it waits or failed. */
  readonly reason: string | undefined
  /** Hops from the user's message. */
  readonly depth: number
  /** When it came to be as it is; milliseconds since the Unix epoch, by the MU's clock. */
  readonly at: number
  readonly result: PinnedResult | undefined
}
export interface CrankPart {
  readonly kind: 'message' | 'spawn' | 'assignment'
  /** The target Process or wallet; for a spawn, the new Process. */
  readonly target: string
  readonly state: 'waiting' | 'pushed' | 'failed'
  /** Id of the message in the target's schedule or of the uploaded item, once there is one. */
  readonly message: MessageId | undefined
  readonly nonce: Nonce | undefined
  /** The MU that was asked to push it, where the target's `Authority` does not name this one. */
  readonly handedTo: Address | undefined
  readonly reason: string | undefined
}

export interface CrankOptions extends AbortOptions {
  /**
   * Hops from the user's message, as the MU says that hands it on. Without it a person asks: it counts as none, and
   * parts that failed are tried again.
   */
  readonly depth?: number | undefined
  /** Only the part at this place of the outbox; the others are left as they are. */
  readonly part?: number | undefined
}
export interface FollowOptions extends AbortOptions {
  /** Leave out what other MUs push of it. */
  readonly ownOnly?: boolean | undefined
  /** Tell how it stands now, and end. */
  readonly once?: boolean | undefined
}

/** MU. `submit` answers once the SU has ordered the message; cranking goes on behind. */
export interface Messenger {
  submit(bytes: Uint8Array, options?: AbortOptions): Promise<Assignment>
  /**
   * Takes a message without waiting for its SU, and gives a signed Delivery-Promise that it will be ordered by a height of
   * Arweave: evidence against the MU if it is not (F8).
   */
  promise(bytes: Uint8Array, options?: AbortOptions): Promise<DataItem>
  /** Has an item that is on Arweave already ordered in a Process, and pushes what it sets off there. */
  assign(request: AssignRequest, options?: AbortOptions): Promise<Assignment>
  /** Pushes the outbox of a message that is ordered already, as far as the targets' Authority tags name this MU. */
  crank(process: ProcessId, message: MessageId, options?: CrankOptions): Promise<void>
  /** From now on pushes what the cron messages of a Process send, until told otherwise. @throws AoError `OVERLOADED` */
  monitor(process: ProcessId, options?: AbortOptions): Promise<void>
  /** @throws AoError `UNKNOWN_PROCESS` if it is not monitored here. */
  unmonitor(process: ProcessId, options?: AbortOptions): Promise<void>
  /** Progress of a message and of everything it set off, newest state of each; ends when all is quiet. */
  follow(process: ProcessId, message: MessageId, options?: FollowOptions): AsyncIterable<CrankProgress>
}

/** Makes a remote unit look like a local one. Connections are pooled behind it and closed by whoever owns the port. */
export interface RemoteUnits {
  scheduler(record: UnitRecord): Scheduler
  compute(record: UnitRecord): Compute
  messenger(record: UnitRecord): Messenger
}

/** Whose unit this is; a node answers for itself without a detour through the network. */
export interface LocalUnits {
  readonly address: Address
  readonly scheduler?: Scheduler | undefined
  readonly compute?: Compute | undefined
  readonly messenger?: Messenger | undefined
}

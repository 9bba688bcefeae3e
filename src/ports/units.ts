import type { AbortOptions } from '../lib/abort.ts'
import type { Assignment, ScheduledMessage } from '../protocol/assignment.ts'
import type { DataItem } from '../protocol/data-item.ts'
import type { Address, MessageId, Nonce, ProcessId } from '../protocol/ids.ts'
import type { Evaluation, Result } from '../protocol/result.ts'
import type { Tag } from '../protocol/tags.ts'
import type { UnitRecord } from '../protocol/unit-record.ts'

/** Nonces `from` to `to`, both inclusive; without `to`, up to the newest at the time of asking. */
export interface NonceRange {
  readonly from: Nonce
  readonly to?: Nonce | undefined
  /** Go on after the newest, as more are assigned, until the signal fires. */
  readonly follow?: boolean | undefined
}

/** SU. `schedule` answers after the Assignment is durable; asking twice gives the same Assignment. */
export interface Scheduler {
  /** @throws AoError `WRONG_UNIT` if another SU hosts the Process. */
  schedule(message: DataItem, options?: AbortOptions): Promise<Assignment>
  /** @throws AoError `UNKNOWN_PROCESS` | `UNKNOWN_MESSAGE` */
  assignment(process: ProcessId, at: MessageId | Nonce | 'newest', options?: AbortOptions): Promise<Assignment>
  /** The Process item itself. @throws AoError `UNKNOWN_PROCESS` */
  process(process: ProcessId, options?: AbortOptions): Promise<DataItem>
  /** In order and without gaps. @throws AoError `UNKNOWN_PROCESS` */
  read(process: ProcessId, range: NonceRange, options?: AbortOptions): AsyncIterable<ScheduledMessage>
}

/** A message for a dry-run: nobody signs it, so it says itself who it is from. */
export interface DryRunMessage {
  readonly owner: string
  readonly from?: string | undefined
  readonly id?: string | undefined
  readonly anchor?: string | undefined
  readonly tags: readonly Tag[]
  readonly data: string
}

/** A Result with the signed Attestation of the CU that gave it. */
export interface AttestedResult {
  readonly result: Result
  /** Signed bytes of the Attestation. */
  readonly attestation: Uint8Array
}

/** CU. Deterministic: equal schedule and Module give an equal `stateRoot` on every node. */
export interface Compute {
  /** Evaluates up to there first. @throws AoError `UNKNOWN_PROCESS` | `UNKNOWN_MESSAGE` | `UNKNOWN_MODULE` */
  result(process: ProcessId, at: MessageId | Nonce, options?: AbortOptions): Promise<AttestedResult>
  /** Evaluates on the newest state and keeps nothing of it. */
  dryRun(process: ProcessId, message: DryRunMessage, options?: AbortOptions): Promise<Evaluation>
}

/** Where one crank stands. `parts` counts the outbox; `pushed` those scheduled; `failed` those given up, with causes. */
export interface CrankProgress {
  readonly process: ProcessId
  readonly message: MessageId
  readonly nonce: Nonce
  readonly state: 'queued' | 'waiting' | 'pushing' | 'done' | 'failed'
  readonly attempts: number
  readonly parts: readonly CrankPart[]
  /** Why it waits or failed. */
  readonly reason: string | undefined
}
export interface CrankPart {
  readonly kind: 'message' | 'spawn' | 'assignment'
  /** The target Process or wallet; for a spawn, the new Process. */
  readonly target: string
  readonly state: 'waiting' | 'pushed' | 'failed'
  /** Id of the signed item, once there is one. */
  readonly message: MessageId | undefined
  readonly nonce: Nonce | undefined
  readonly reason: string | undefined
}

/** MU. `submit` answers once the SU has ordered the message; cranking goes on behind. */
export interface Messenger {
  submit(bytes: Uint8Array, options?: AbortOptions): Promise<Assignment>
  /** Pushes the outbox of a message that is ordered already, as far as the targets' Authority tags name this MU. */
  crank(process: ProcessId, message: MessageId, options?: AbortOptions): Promise<void>
  /** Progress of a message and of everything it set off, newest state of each; ends when all is quiet. */
  follow(process: ProcessId, message: MessageId, options?: AbortOptions): AsyncIterable<CrankProgress>
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

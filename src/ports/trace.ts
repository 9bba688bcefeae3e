import type { AbortOptions } from '../lib/abort.ts'
import type { Address, Id, MessageId, Nonce, ProcessId } from '../protocol/ids.ts'
import type { CrankProgress } from './units.ts'

/** One step of a message's life. All but `done` say why. `unknown`: whoever should know could not be asked. */
export type TraceStage<T extends object = object> =
  | ({ readonly state: 'done' } & T)
  | { readonly state: 'waiting' | 'failed' | 'unknown'; readonly reason: string }

export interface Ordered {
  readonly nonce: Nonce
  readonly assignment: Id
  /** The SU that signed it. */
  readonly scheduler: Address
  /** Milliseconds since the Unix epoch, by the SU's clock. */
  readonly timestamp: number
  readonly blockHeight: number
}
export interface Settled {
  readonly bundle: Id
  readonly blockHeight: number
  readonly confirmations: number
}
export interface Computed {
  /** The CU that signed it. */
  readonly compute: Address
  readonly stateRoot: Id
  /** What the Process itself failed with; its state is then as before. */
  readonly error?: string | undefined
}
/** What one MU says of its pushing. Nobody signs this. */
export interface Pushing extends Pick<CrankProgress, 'state' | 'attempts' | 'depth' | 'at' | 'reason'> {
  readonly messenger: Address
}

export interface TracedMessage {
  readonly process: ProcessId
  readonly message: MessageId
  /** Whose signature it carries: a user's, or that of the MU that pushed it. Undefined while it is not ordered. */
  readonly signer?: Address | undefined
  readonly action?: string | undefined
  readonly ordered: TraceStage<Ordered>
  readonly settled: TraceStage<Settled>
  readonly computed: TraceStage<Computed>
  readonly pushed: TraceStage
  readonly messengers: readonly Pushing[]
  readonly parts: readonly TracedPart[]
}
export interface TracedPart {
  readonly kind: 'message' | 'spawn' | 'assignment'
  readonly target: string
  readonly state: 'waiting' | 'pushed' | 'failed'
  readonly reason?: string | undefined
  /** Absent for what went to no Process, and where the trace was cut. */
  readonly child?: TracedMessage | undefined
}
/** Where something waits or went wrong. */
export interface TraceProblem {
  readonly process: ProcessId
  readonly message: MessageId
  readonly stage: 'ordered' | 'settled' | 'computed' | 'pushed' | 'part'
  readonly state: 'waiting' | 'failed' | 'unknown'
  readonly reason: string
}

export interface Trace {
  readonly root: TracedMessage
  /** What the conversation holds besides: news of spawned Processes, say. */
  readonly also: readonly TracedMessage[]
  /** Settling not counted while it waits: it always takes a while. */
  readonly problems: readonly TraceProblem[]
  /** MUs that could not be asked. */
  readonly silent: readonly { readonly messenger: Address; readonly reason: string }[]
  /** Messages looked at. */
  readonly messages: number
  /** There are more than may be looked at in one go. */
  readonly cut: boolean
}

/** Says where a message and all it set off are, and why they are not further. */
export interface Tracer {
  /** @throws AoError `UNKNOWN_PROCESS` if nobody knows the Process. */
  trace(process: ProcessId, at: MessageId | Nonce, options?: AbortOptions): Promise<Trace>
}

/** Finds items on Arweave. */
export interface ItemIndex {
  /** The bundle that carries an item; undefined if there is none. */
  bundleOf(item: Id, options?: AbortOptions): Promise<Id | undefined>
}

import type { Address, AssignmentId, MessageId, ProcessId } from '../protocol/ids.ts'
import type { UnitRole } from '../protocol/unit-record.ts'
import type { Account } from './account.ts'
import type { Quantity } from './quantity.ts'

// The rows of the state, in one place: each file of this folder keeps the rules of some of them. Rows are immutable.

/** Arweave as the last event saw it: neither ever goes back. `timestamp` in milliseconds. */
export interface ClockRow {
  readonly height: number
  readonly timestamp: number
}

/** Amounts that are nobody's balance. `burned` and `slashed` count from the beginning. */
export interface FundsRow {
  /** Locked as bonds and fees: of commits, challenges and bids. */
  readonly escrow: Quantity
  readonly insurance: Quantity
  readonly burned: Quantity
  readonly slashed: Quantity
}

/** One unit in one role. `owner` holds its self-stake and is paid; its own key answers for what it signs. */
export interface OperatorRow {
  readonly role: UnitRole
  readonly operator: Address
  readonly owner: Account
  readonly peer: string
  readonly urls: string
  readonly commissionBps: number
  /** Announced, and in force from that period on. */
  readonly nextCommission: { readonly bps: number; readonly from: number } | undefined
  /** Height of the last announcement. */
  readonly commissionAt: number
  /** Period from which the self-stake counts; undefined while it is too small. */
  readonly activeFrom: number | undefined
  readonly jailedUntil: number
  /** Blocks of the last term; 0 before the first. */
  readonly jailTerm: number
  readonly jailed: boolean
  readonly tombstoned: boolean
}

/** What of an operator is held, apart from its registration: also unregistered keys can sign faults. */
export interface HoldRow {
  /** Open challenges and slashes that wait: meanwhile nothing is paid out. */
  readonly disputes: number
  readonly tombstoned: boolean
}

/** `peaks`: since period p the stake has been at most `tokens`; falling, so that a maximum is one look. */
export interface PoolRow {
  readonly tokens: Quantity
  readonly shares: bigint
  /** Counts up when a slash takes everything: shares of older generations are worth nothing. */
  readonly generation: number
  /** `rewardAcc` at the end of each older generation. */
  readonly finalAccs: readonly bigint[]
  readonly peaks: readonly PeriodValue[]
  /** Fees earned by one share since the beginning, scaled; and what dividing by the shares left. */
  readonly rewardAcc: bigint
  readonly rewardRem: bigint
  /** Fees whose holders have not been settled yet, scaled exactly: part of what the Process holds. */
  readonly rewardsOwed: bigint
}
export interface PeriodValue {
  readonly period: number
  readonly value: Quantity
}

export interface StakeRow {
  readonly shares: bigint
  readonly generation: number
  readonly rewardLast: bigint
  /** Below the scale. */
  readonly rewardFrac: bigint
}

/** Stake of one operator and role that began to leave within the same `bucketBlocks`. */
export interface BucketRow {
  readonly tokens: Quantity
  readonly shares: bigint
}
export interface UnbondingEntry {
  readonly role: UnitRole
  readonly operator: Address
  readonly bucket: number
  readonly shares: bigint
  /** Height at which it may be withdrawn. */
  readonly release: number
}

/** Which faults are one offence: of them the largest penalty counts, not the sum. */
export type FaultClass = 'order' | 'equivocation' | 'publication' | 'liveness' | 'delivery' | 'anchor'

/** What one operator owes for one class of faults within one window. */
export interface OffenceRow {
  readonly role: UnitRole
  readonly operator: Address
  readonly class: FaultClass
  /** Height of the first verdict. */
  readonly at: number
  readonly stakeAt: Quantity
  readonly baseBps: number
  readonly correlated: boolean
  /** Stake that left before this height is innocent. */
  readonly since: number
  readonly reporter: Account
  readonly executed: boolean
  readonly slashed: Quantity
  readonly paidReporter: Quantity
}
export interface VerdictRow {
  readonly kind: string
  readonly role: UnitRole
  readonly operator: Address
  readonly class: FaultClass
  readonly reporter: Account
  readonly height: number
  readonly process: ProcessId | undefined
}

/** Something that happens by itself at a height. */
export interface AgendaRow {
  readonly height: number
  /** `activity`: a stake begins to count, which shows with the first message from there on. */
  readonly kind: 'slash' | 'commit' | 'challenge' | 'bidding' | 'bid-bond' | 'activity'
  readonly key: string
}

export interface CommitRow {
  readonly reporter: Account
  readonly height: number
  readonly bond: Quantity
}

export interface ChallengeRow {
  readonly kind: 'F2' | 'F3' | 'F8'
  readonly challenger: Account
  readonly role: UnitRole
  readonly accused: Address
  readonly process: ProcessId
  readonly epoch: number
  readonly nonce: number | undefined
  readonly message: MessageId
  readonly assignment: AssignmentId | undefined
  readonly bond: Quantity
  readonly fee: Quantity
  readonly dueAt: number
}

/** An Assignment that a log is carried on from. */
export interface LogHead {
  readonly nonce: number
  readonly assignment: AssignmentId
  readonly hashChain: string
}
export interface HostBid {
  readonly bidder: Address
  readonly account: Account
  readonly bond: Quantity
}
/** Where an SU signed twice, and which of the two counts. */
export interface ForkRow {
  readonly nonce: number
  readonly assignment: AssignmentId
}
export interface QueuedMessage {
  readonly message: MessageId
  /** The message to AO-Sec Origin that shows it. */
  readonly shownIn: string
}
/** Epochs of a Process after its first. While `bidding`, nobody hosts it. */
export interface HostRow {
  readonly epoch: number
  readonly scheduler: Address
  readonly phase: 'hosted' | 'bidding'
  /** Height at which the phase began. */
  readonly since: number
  /** The last Assignment of the epoch before: the new SU goes on from there. */
  readonly head: LogHead | undefined
  readonly fork: ForkRow | undefined
  readonly bids: readonly HostBid[]
  readonly fallbacks: readonly Address[]
  /** Challenged messages, which the new SU orders first. */
  readonly queue: readonly QueuedMessage[]
  /** Earlier hosts, newest last. */
  readonly past: readonly PastHost[]
  /** Held until the winner has served for a while. */
  readonly winnerBond: HostBid | undefined
  /** Whether the winner has said that it has the whole log. */
  readonly ready: boolean
  /** Forfeited by a winner that could not serve: goes to the next. */
  readonly bounty: Quantity
}
export interface PastHost {
  readonly epoch: number
  readonly scheduler: Address
  readonly from: number
  readonly to: number
  /** Its last Assignment; undefined until the bidding is over. */
  readonly last: LogHead | undefined
}

export interface YieldGrant {
  readonly to: Account
  readonly quantity: bigint
}

/** A block of Arweave, as more than two thirds of the reporters know it. */
export interface HeaderRow {
  readonly height: number
  readonly hash: string
}
/** One reporter’s last word on one subject, by digest. `cycle`: of a block its height. */
export interface ReportVotes {
  readonly cycle: number
  readonly digest: string
}
export interface ReportDelta {
  readonly account: Account
  readonly quantity: bigint
}
export interface HeldReport {
  readonly resource: string
  readonly cycle: number
  readonly deltas: readonly ReportDelta[]
  readonly weight: bigint | undefined
}

import { sha256, toHex, utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import { nextLink } from '../protocol/hash-chain.ts'
import type { Address, AssignmentId, ProcessId } from '../protocol/ids.ts'
import type { Account } from './account.ts'
import { schedule } from './agenda.ts'
import { epochsOf, judgePlace } from './host-epochs.ts'
import { lock, unlock } from './ledger.ts'
import { standingOf } from './operators.ts'
import { poolOf } from './pools.ts'
import { parseQuantity } from './quantity.ts'
import type { HostBid, HostRow, LogHead, QueuedMessage } from './rows.ts'
import type { EconomyState } from './state.ts'

/** Bidders of one Process at one time. */
const maxBids = 16
/** Earlier hosts and challenged messages remembered of one Process. */
const maxPast = 32
const maxQueue = 64

/** What a bid shows of the Process: its own item, and the last Assignment of its old SU that the bidder has. */
export interface BidProof {
  /** The `Scheduler` tag of the Process item: who hosted it in epoch 0. */
  readonly firstScheduler: Address
  /** `Fallback-Scheduler` tags of the Process item, in the owner's order. */
  readonly fallbacks: readonly Address[]
  /** Assignments signed by the old SU, one after the other; the last one is where the log is to go on. */
  readonly chain: readonly SignedHead[]
  /** Those between the first and the second of `chain`, by their ids alone: the links prove them. */
  readonly between: readonly AssignmentId[]
}
export interface SignedHead extends LogHead {
  readonly scheduler: Address
  readonly epoch: number
}

/** Who hosts a Process now; undefined while nobody does. `first` is its `Scheduler` tag. */
export function hostOf(
  state: EconomyState,
  process: ProcessId,
  first: Address | undefined,
): { readonly scheduler: Address; readonly epoch: number } | undefined {
  const row = state.hosts.get(process)
  if (row !== undefined && row.phase === 'bidding') return undefined
  const scheduler = row?.scheduler ?? first
  if (scheduler === undefined) return undefined
  const host = { scheduler, epoch: row?.epoch ?? 0 }
  return isBanned(state, host.scheduler) ? undefined : host
}

/** A tombstoned SU hosts nothing any more, without a row for each of its Processes. */
const isBanned = (state: EconomyState, scheduler: Address): boolean =>
  state.holds.get(`SU ${scheduler}`)?.tombstoned === true

export const forkKey = (process: ProcessId, scheduler: Address, epoch: number): string =>
  `${process} ${scheduler} ${epoch}`

/** Takes a Process from its SU and opens the bidding. Nothing happens if another hosts it, or nobody. That it hosts epoch 0 has been proven. */
export function unhost(
  state: EconomyState,
  at: {
    process: ProcessId
    scheduler: Address
    queue?: QueuedMessage | undefined
    fallbacks?: readonly Address[]
  },
): void {
  const row = state.hosts.get(at.process)
  if (row !== undefined && (row.phase === 'bidding' || row.scheduler !== at.scheduler)) {
    if (at.queue !== undefined) keepQueued(state, at.process, row, at.queue) // for whoever has it by now, or will
    return
  }
  const { height } = state.clock.value
  const before = row ?? firstEpoch(at.scheduler)
  const lost = before.winnerBond
  state.hosts.set(at.process, {
    ...before,
    phase: 'bidding',
    since: height,
    head: undefined,
    fork: state.forks.get(forkKey(at.process, at.scheduler, before.epoch)),
    bids: [],
    fallbacks: at.fallbacks ?? before.fallbacks,
    queue: at.queue === undefined ? [] : [at.queue],
    past: [
      ...before.past,
      { epoch: before.epoch, scheduler: at.scheduler, from: before.since, to: height, last: undefined },
    ].slice(-maxPast),
    winnerBond: undefined,
    ready: false,
    bounty: before.bounty + (lost?.bond ?? 0n),
  })
  schedule(state, { height: height + state.params.biddingBlocks, kind: 'bidding', key: at.process })
}

/**
 * An SU offers to go on with a Process that nobody hosts. Whoever wins, the log goes on from the longest that any bid
 * shows, on the selected branch: so whoever holds an acknowledgement can save it.
 *
 * @throws AoError `NOT_ALLOWED` | `INVALID_ARGUMENT` | `INSUFFICIENT_BALANCE`
 */
export function bid(
  state: EconomyState,
  at: { process: ProcessId; bidder: Address; account: Account; proof: BidProof },
): void {
  const { process, bidder, account, proof } = at
  if (!state.hosts.has(process) && isBanned(state, proof.firstScheduler)) {
    unhost(state, { process, scheduler: proof.firstScheduler, fallbacks: proof.fallbacks })
  }
  const known = state.hosts.get(process)
  if (known?.phase === 'hosted' && isBanned(state, known.scheduler))
    unhost(state, { process, scheduler: known.scheduler })
  const row = state.hosts.get(process)
  if (row === undefined || row.phase !== 'bidding')
    throw new AoError('NOT_ALLOWED', 'the Process has a host', { process })
  if (standingOf(state, 'SU', bidder) !== 'active') {
    throw new AoError('INSUFFICIENT_STAKE', 'only an active SU may bid', { bidder })
  }
  if (row.bids.some(other => other.bidder === bidder))
    throw new AoError('NOT_ALLOWED', 'this SU has bid already', { bidder })
  if (row.bids.length >= maxBids) throw new AoError('OVERLOADED', 'there are enough bids for this Process', { maxBids })
  const head = headOf(process, row, proof)
  const bond = parseQuantity(state.params.bidBond)
  lock(state, account, bond)
  const longer = row.head === undefined || head.nonce > row.head.nonce
  state.hosts.set(process, {
    ...row,
    bids: [...row.bids, { bidder, account, bond }],
    head: longer ? head : row.head,
    fallbacks: row.fallbacks.length === 0 ? proof.fallbacks : row.fallbacks,
  })
}

/** The end of the bidding; without a bid it goes on until there is one. @returns whether there is a new host. */
export function closeBidding(state: EconomyState, process: ProcessId): boolean {
  const row = state.hosts.get(process)
  if (row === undefined || row.phase !== 'bidding') return false
  const { height } = state.clock.value
  const { biddingBlocks, publicationBlocks, responseBlocks } = state.params
  const standing = row.bids.filter(({ bidder }) => standingOf(state, 'SU', bidder) === 'active')
  const winner = best(state, process, row, standing)
  if (winner === undefined || row.head === undefined) {
    for (const { account, bond } of row.bids) unlock(state, account, bond)
    state.hosts.set(process, { ...row, bids: [] })
    schedule(state, { height: height + biddingBlocks, kind: 'bidding', key: process })
    return false
  }
  for (const { account, bond } of row.bids.filter(other => other !== winner)) unlock(state, account, bond)
  if (row.bounty > 0n) unlock(state, winner.account, row.bounty)
  const epoch = row.epoch + 1
  state.hosts.set(process, {
    ...row,
    epoch,
    scheduler: winner.bidder,
    phase: 'hosted',
    past: row.past.map((past, i) => (i === row.past.length - 1 ? { ...past, last: row.head } : past)),
    since: height,
    fork: undefined,
    bids: [],
    winnerBond: winner,
    ready: false,
    bounty: 0n,
  })
  const key = `${process} ${epoch}`
  schedule(state, { height: height + 2 * publicationBlocks + responseBlocks, kind: 'bid-bond', key })
  return true
}

/** The winner has the whole log that it took over. @throws AoError `NOT_ALLOWED` for anybody else. */
export function hostReady(state: EconomyState, process: ProcessId, scheduler: Address): void {
  const row = state.hosts.get(process)
  if (row?.phase !== 'hosted' || row.scheduler !== scheduler || row.epoch === 0) {
    throw new AoError('NOT_ALLOWED', 'that unit has not taken the Process over', { process })
  }
  state.hosts.set(process, { ...row, ready: true })
}

/**
 * The time is over in which the winner had to get the log. If it has, its bond goes back; if not, it goes to the next one.
 *
 * @returns the Process, if it has no host any more.
 */
export function settleBidBond(state: EconomyState, key: string): ProcessId | undefined {
  const [process, epoch] = key.split(' ') as [ProcessId, string]
  const row = state.hosts.get(process)
  if (row?.winnerBond === undefined || String(row.epoch) !== epoch) return undefined
  if (!row.ready) {
    unhost(state, { process, scheduler: row.scheduler })
    return process
  }
  unlock(state, row.winnerBond.account, row.winnerBond.bond)
  state.hosts.set(process, { ...row, winnerBond: undefined })
  return undefined
}

/** The interval in which an SU was responsible for an epoch; undefined where the table does not tell. */
export function hostedSince(
  state: EconomyState,
  process: ProcessId,
  epoch: number,
): { from: number; to: number | undefined } | undefined {
  const row = state.hosts.get(process)
  if (row === undefined) return undefined
  if (row.epoch === epoch && row.phase === 'hosted') return { from: row.since, to: undefined }
  return row.past.find(past => past.epoch === epoch)
}

/** The Assignment that the log is to go on from, if the proof is one of the selected branch. */
function headOf(process: ProcessId, row: HostRow, { chain, between }: BidProof): LogHead {
  const last = chain.at(-1)
  if (last === undefined)
    throw new AoError('INVALID_ARGUMENT', 'the bid shows no Assignment of the old SU', { process })
  const epochs = epochsOf(row, row.scheduler)
  for (const [i, link] of chain.entries()) {
    const isOfLast = link.scheduler === row.scheduler && link.epoch === row.epoch
    // A host may have lost the Process before it ordered anything.
    if (!isOfLast && judgePlace(epochs, { ...link, id: link.assignment }) !== 'stands') {
      throw new AoError('INVALID_ARGUMENT', 'an Assignment is not of the old SU and epoch', { nonce: link.nonce })
    }
    if (i > 0 && !follows(chain[i - 1], link, i === 1 ? between : [])) {
      throw new AoError('INVALID_ARGUMENT', 'the Assignments do not follow each other', { nonce: link.nonce })
    }
  }
  const { fork } = row
  const passesFork = fork === undefined || chain.some(link => link.assignment === fork.assignment)
  if (!passesFork && last.nonce >= (fork?.nonce ?? 0)) {
    throw new AoError('INVALID_ARGUMENT', 'the bid is not on the branch that counts', { process })
  }
  const { nonce, assignment, hashChain } = last
  return { nonce, assignment, hashChain }
}

function follows(before: LogHead | undefined, next: LogHead, between: readonly AssignmentId[]): boolean {
  if (before === undefined || next.nonce !== before.nonce + 1 + between.length) return false
  let hashChain = nextLink({ id: before.assignment, hashChain: before.hashChain })
  for (const id of between) hashChain = nextLink({ id, hashChain })
  return next.hashChain === hashChain
}

/** The owner's fallbacks first, in their order; else the largest stake, then a hash that nobody chose. */
function best(state: EconomyState, process: ProcessId, row: HostRow, bids: readonly HostBid[]): HostBid | undefined {
  const rank = ({ bidder }: HostBid): number => {
    const at = row.fallbacks.indexOf(bidder)
    return at < 0 ? Number.MAX_SAFE_INTEGER : at
  }
  const lot = ({ bidder }: HostBid): string => toHex(sha256(utf8(`${process} ${row.epoch + 1} ${bidder}`)))
  const tokens = ({ bidder }: HostBid): bigint => poolOf(state, 'SU', bidder).tokens
  return [...bids].sort((a, b) => {
    if (rank(a) !== rank(b)) return rank(a) - rank(b)
    if (tokens(a) !== tokens(b)) return tokens(a) > tokens(b) ? -1 : 1
    return lot(a) < lot(b) ? -1 : 1
  })[0]
}

/** Notes a message that was left out, for whoever orders next. */
export function keepQueued(state: EconomyState, process: ProcessId, row: HostRow, queued: QueuedMessage): void {
  if (row.queue.length >= maxQueue || row.queue.some(({ message }) => message === queued.message)) return
  state.hosts.set(process, { ...row, queue: [...row.queue, queued] })
}

const firstEpoch = (scheduler: Address): HostRow => ({
  epoch: 0,
  scheduler,
  phase: 'hosted',
  since: 0,
  head: undefined,
  fork: undefined,
  bids: [],
  fallbacks: [],
  queue: [],
  past: [],
  winnerBond: undefined,
  ready: true,
  bounty: 0n,
})

import { AoError } from '../lib/errors.ts'
import type { Address } from '../protocol/ids.ts'
import type { UnitRole } from '../protocol/unit-record.ts'
import type { Account } from './account.ts'
import { schedule } from './agenda.ts'
import { debit } from './ledger.ts'
import { deposit, poolKey, poolOf, redeem, stakeOf } from './pools.ts'
import { inAo, parseQuantity, type Quantity } from './quantity.ts'
import { commissionOf } from './rewards.ts'
import type { OperatorRow, UnbondingEntry } from './rows.ts'
import { type EconomyState, periodNow } from './state.ts'
import { beginUnbonding } from './unbonding.ts'

/** What a unit may be used for, as far as its stake says. `unstaked`: nothing is registered for it. */
export type Standing = 'unstaked' | 'pending' | 'active' | 'exiting' | 'jailed' | 'tombstoned'

export const minStakeOf = ({ params }: EconomyState, role: UnitRole): Quantity => parseQuantity(params.minStake[role])

export const operatorOf = (state: EconomyState, role: UnitRole, operator: Address): OperatorRow | undefined =>
  state.operators.get(poolKey(role, operator))

export function standingOf(state: EconomyState, role: UnitRole, operator: Address): Standing {
  const row = operatorOf(state, role, operator)
  if (row === undefined) return 'unstaked'
  if (row.tombstoned) return 'tombstoned'
  if (row.jailed) return 'jailed'
  if (row.activeFrom === undefined) return 'exiting'
  return row.activeFrom <= periodNow(state) ? 'active' : 'pending'
}

/**
 * Bonds tokens to an operator. Before it is registered each stake has to reach the minimum by itself, because nobody
 * knows yet whose self-stake counts.
 *
 * @throws AoError `INSUFFICIENT_BALANCE` | `INSUFFICIENT_STAKE` | `NOT_ALLOWED`
 */
export function stake(
  state: EconomyState,
  at: { role: UnitRole; operator: Address; holder: Account; tokens: Quantity },
): bigint {
  const { role, operator, holder, tokens } = at
  const row = operatorOf(state, role, operator)
  if (isTombstoned(state, role, operator)) {
    throw new AoError('NOT_ALLOWED', 'the operator is tombstoned', { operator })
  }
  if (row === undefined && tokens < minStakeOf(state, role)) {
    const facts = { operator, minimum: inAo(minStakeOf(state, role)) }
    throw new AoError('INSUFFICIENT_STAKE', 'the operator is not registered: stake at least the minimum', facts)
  }
  if (row !== undefined && holder !== row.owner) {
    const self = stakeOf(state, role, operator, row.owner)
    const delegated = poolOf(state, role, operator).tokens - self + tokens
    if (delegated > self * BigInt(state.params.maxDelegationFactor)) {
      const facts = { operator, self: inAo(self), most: inAo(self * BigInt(state.params.maxDelegationFactor)) }
      throw new AoError('NOT_ALLOWED', 'the operator’s own stake is too small for that much delegation', facts)
    }
  }
  debit(state, holder, tokens)
  const shares = deposit(state, at)
  updateActivity(state, role, operator)
  return shares
}

/** Shares begin to leave. @throws AoError `INSUFFICIENT_BALANCE` | `NOT_ALLOWED` */
export function unstake(
  state: EconomyState,
  at: { role: UnitRole; operator: Address; holder: Account; shares: bigint },
): UnbondingEntry {
  const { role, operator, holder } = at
  const tokens = redeem(state, at)
  const entry = beginUnbonding(state, { role, operator, holder, tokens })
  updateActivity(state, role, operator)
  return entry
}

export interface Registration {
  readonly role: UnitRole
  readonly operator: Address
  readonly owner: Account
  readonly peer: string
  readonly urls: string
  readonly commissionBps: number
}

/** Signed by the unit's own key, which so agrees to its owner. Again: new addresses, or a commission to announce. */
export function registerOperator(state: EconomyState, registration: Registration): OperatorRow {
  const { role, operator, owner, peer, urls, commissionBps } = registration
  const { maxCommissionBps } = state.params
  if (!Number.isSafeInteger(commissionBps) || commissionBps < 0 || commissionBps > maxCommissionBps) {
    throw new AoError('INVALID_ARGUMENT', 'Commission is out of range', { commissionBps, maxCommissionBps })
  }
  const before = operatorOf(state, role, operator)
  if (isTombstoned(state, role, operator)) throw new AoError('NOT_ALLOWED', 'the operator is tombstoned', { operator })
  if (before !== undefined && before.owner !== owner) {
    throw new AoError('NOT_ALLOWED', 'the operator has another owner', { operator, owner: before.owner })
  }
  const self = stakeOf(state, role, operator, owner)
  if (before === undefined && self < minStakeOf(state, role)) {
    const facts = { owner, stake: inAo(self), minimum: inAo(minStakeOf(state, role)) }
    throw new AoError('INSUFFICIENT_STAKE', 'the owner’s stake is below the minimum', facts)
  }
  const row = before === undefined ? newOperator(registration) : withCommission(state, before, commissionBps)
  state.operators.set(poolKey(role, operator), { ...row, peer, urls })
  updateActivity(state, role, operator)
  return row
}

/** Ends a term in jail. @throws AoError `NOT_ALLOWED` | `INSUFFICIENT_STAKE` */
export function unjail(state: EconomyState, role: UnitRole, operator: Address, sender: Account): void {
  const row = operatorOf(state, role, operator)
  if (row === undefined || (sender !== row.owner && sender !== operator)) {
    throw new AoError('NOT_ALLOWED', 'only the operator or its owner may end the term', { operator })
  }
  if (row.tombstoned || !row.jailed) throw new AoError('NOT_ALLOWED', 'the operator is not in jail', { operator })
  const { height } = state.clock.value
  if (height < row.jailedUntil) {
    throw new AoError('NOT_READY', 'the term is not over', { height, until: row.jailedUntil })
  }
  if (stakeOf(state, role, operator, row.owner) < minStakeOf(state, role)) {
    throw new AoError('INSUFFICIENT_STAKE', 'the owner’s stake is below the minimum', {
      operator,
      minimum: inAo(minStakeOf(state, role)),
    })
  }
  setActivity(state, { ...row, jailed: false }, periodNow(state) + 1)
}

/** Also of a key that never registered: it must not come back as somebody new. */
const isTombstoned = (state: EconomyState, role: UnitRole, operator: Address): boolean =>
  state.holds.get(poolKey(role, operator))?.tombstoned === true

/** Lets the self-stake begin to count, or stop, after it changed. */
export function updateActivity(state: EconomyState, role: UnitRole, operator: Address): void {
  const row = operatorOf(state, role, operator)
  if (row === undefined || row.tombstoned) return
  const enough = stakeOf(state, role, operator, row.owner) >= minStakeOf(state, role)
  if (enough === (row.activeFrom !== undefined)) return
  setActivity(state, row, enough ? periodNow(state) + state.params.activationPeriods : undefined)
}

/** `activeFrom`: the first period that counts. Somebody is to send a message then, or nobody would see that it does. */
function setActivity(state: EconomyState, row: OperatorRow, activeFrom: number | undefined): void {
  const key = poolKey(row.role, row.operator)
  state.operators.set(key, { ...row, activeFrom })
  if (activeFrom !== undefined)
    schedule(state, { height: activeFrom * state.params.periodBlocks, kind: 'activity', key })
}

const newOperator = ({ role, operator, owner, peer, urls, commissionBps }: Registration): OperatorRow => ({
  ...{ role, operator, owner, peer, urls, commissionBps },
  nextCommission: undefined,
  commissionAt: 0,
  activeFrom: undefined,
  jailedUntil: 0,
  jailTerm: 0,
  jailed: false,
  tombstoned: false,
})

/** A change is announced one period ahead, small, and not often: delegators can leave before it counts. */
function withCommission(state: EconomyState, row: OperatorRow, bps: number): OperatorRow {
  const now = commissionOf(state, row)
  if (bps === (row.nextCommission?.bps ?? row.commissionBps)) return row
  const { commissionStepBps, commissionStepBlocks } = state.params
  const { height } = state.clock.value
  if (Math.abs(bps - now) > commissionStepBps || height < row.commissionAt + commissionStepBlocks) {
    const facts = { now, wanted: bps, commissionStepBps, commissionStepBlocks }
    throw new AoError('NOT_ALLOWED', 'the commission may not change that much or that often', facts)
  }
  return {
    ...row,
    commissionBps: now,
    nextCommission: { bps, from: periodNow(state) + 1 },
    commissionAt: height,
  }
}

import { AoError } from '../lib/errors.ts'
import type { Address } from '../protocol/ids.ts'
import type { UnitRole } from '../protocol/unit-record.ts'
import type { Account } from './account.ts'
import { maxOf, type Quantity } from './quantity.ts'
import { settleRewards } from './rewards.ts'
import type { PeriodValue, PoolRow, StakeRow } from './rows.ts'
import { type EconomyState, periodNow, periodOf } from './state.ts'

export const poolKey = (role: UnitRole, operator: Address): string => `${role} ${operator}`
export const stakeKey = (role: UnitRole, operator: Address, holder: Account): string => `${role} ${operator} ${holder}`

/** Shares of the first armstrong of a pool, so that later ones can be worth less than a whole one. */
const firstShares = 1_000_000n

export const emptyPool: PoolRow = {
  tokens: 0n,
  shares: 0n,
  generation: 0,
  finalAccs: [],
  peaks: [],
  rewardAcc: 0n,
  rewardRem: 0n,
  rewardsOwed: 0n,
}

/** Shares for tokens. Whoever stakes pays at least what a share is worth: rounding is in favour of the pool. */
export function deposit(
  state: EconomyState,
  at: { role: UnitRole; operator: Address; holder: Account; tokens: Quantity },
): bigint {
  const { role, operator, holder, tokens } = at
  const stake = settleRewards(state, role, operator, holder)
  const pool = poolOf(state, role, operator)
  const shares = pool.shares === 0n ? tokens * firstShares : (tokens * pool.shares) / pool.tokens
  if (shares <= 0n) throw new AoError('INVALID_ARGUMENT', 'the quantity is too small for one share')
  setPool(state, role, operator, { ...pool, tokens: pool.tokens + tokens, shares: pool.shares + shares })
  state.stakes.set(stakeKey(role, operator, holder), { ...stake, shares: stake.shares + shares })
  return shares
}

/** Tokens for shares; the last share takes all. @throws AoError `INSUFFICIENT_BALANCE` */
export function redeem(
  state: EconomyState,
  at: { role: UnitRole; operator: Address; holder: Account; shares: bigint },
): Quantity {
  const { role, operator, holder, shares } = at
  const stake = settleRewards(state, role, operator, holder)
  const pool = poolOf(state, role, operator)
  if (shares > stake.shares) {
    throw new AoError('INSUFFICIENT_BALANCE', 'the stake is smaller than that', { shares: String(stake.shares) })
  }
  const tokens = shares === pool.shares ? pool.tokens : (shares * pool.tokens) / pool.shares
  setPool(state, role, operator, { ...pool, tokens: pool.tokens - tokens, shares: pool.shares - shares })
  const key = stakeKey(role, operator, holder)
  if (stake.shares === shares && stake.rewardFrac === 0n) state.stakes.delete(key)
  else state.stakes.set(key, { ...stake, shares: stake.shares - shares })
  return tokens
}

/** Takes tokens out of a pool without its holders' doing. Taking all makes their shares worth nothing. */
export function cutPool(state: EconomyState, role: UnitRole, operator: Address, tokens: Quantity): void {
  const pool = poolOf(state, role, operator)
  const left = pool.tokens - tokens
  const wiped =
    left === 0n && pool.shares > 0n
      ? { shares: 0n, generation: pool.generation + 1, finalAccs: [...pool.finalAccs, pool.rewardAcc] }
      : {}
  setPool(state, role, operator, { ...pool, tokens: left, ...wiped })
}

export const poolOf = (state: EconomyState, role: UnitRole, operator: Address): PoolRow =>
  state.pools.get(poolKey(role, operator)) ?? emptyPool

/** What the holder's shares are worth now. */
export function stakeOf(state: EconomyState, role: UnitRole, operator: Address, holder: Account): Quantity {
  const pool = poolOf(state, role, operator)
  return pool.shares === 0n
    ? 0n
    : (liveShares(pool, state.stakes.get(stakeKey(role, operator, holder))) * pool.tokens) / pool.shares
}

/** Shares of a generation that was slashed away count for nothing. */
export const liveShares = (pool: PoolRow, stake: StakeRow | undefined): bigint =>
  stake === undefined || stake.generation !== pool.generation ? 0n : stake.shares

/** The largest stake between a height and now, to the period. */
export function peakSince(state: EconomyState, role: UnitRole, operator: Address, height: number): Quantity {
  const { peaks } = poolOf(state, role, operator)
  const from = periodOf(state, height)
  const at = peaks.findLastIndex(({ period }) => period <= from)
  return (at >= 0 ? peaks[at] : peaks[0])?.value ?? 0n
}

/** All that is bonded in a role at a height; before anything was, the most there has been since. */
export function bondedAt(state: EconomyState, role: UnitRole, height: number): Quantity {
  const history = state.totals.get(role) ?? []
  const from = periodOf(state, height)
  const at = history.findLast(({ period }) => period <= from)?.value ?? 0n
  return at > 0n ? at : history.reduce((most, { value }) => maxOf(most, value), 0n)
}

function setPool(state: EconomyState, role: UnitRole, operator: Address, pool: PoolRow): void {
  const key = poolKey(role, operator)
  const before = state.pools.get(key)?.tokens ?? 0n
  state.pools.set(key, { ...pool, peaks: withPeak(state, pool) })
  if (pool.tokens !== before) changeTotal(state, role, pool.tokens - before)
}

/**
 * `peaks` after the stake became what it is. An entry says: from this period on it was never more than this. So what a
 * larger stake overtakes takes over its period, and looking up a maximum is finding one entry.
 */
function withPeak(state: EconomyState, { peaks, tokens }: PoolRow): readonly PeriodValue[] {
  const now = periodNow(state)
  const oldest = periodOf(state, state.clock.value.height - state.params.evidenceAgeBlocks) - 1
  const expired = peaks.findLastIndex(({ period }) => period <= oldest)
  // Within one period the larger stake counts: a smaller one begins with the next, and goes if that is overtaken.
  const kept = peaks.slice(Math.max(0, expired)).filter(({ period }) => period <= now)
  let period = kept.length === 0 ? now : now + 1
  while (kept.length > 0 && (kept.at(-1)?.value ?? 0n) <= tokens) period = kept.pop()?.period ?? period
  return [...kept, { period, value: tokens }]
}

function changeTotal(state: EconomyState, role: UnitRole, change: Quantity): void {
  const now = periodNow(state)
  const oldest = periodOf(state, state.clock.value.height - state.params.correlationBlocks) - 1
  const history = state.totals.get(role) ?? []
  const value = (history.at(-1)?.value ?? 0n) + change
  const expired = history.findLastIndex(({ period }) => period <= oldest)
  const kept = history.slice(Math.max(0, expired)).filter(({ period }) => period !== now)
  state.totals.set(role, [...kept, { period: now, value }])
}

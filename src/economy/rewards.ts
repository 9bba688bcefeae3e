import type { Address } from '../protocol/ids.ts'
import type { UnitRole } from '../protocol/unit-record.ts'
import type { Account } from './account.ts'
import { shareScale } from './distribution.ts'
import { addFunds, credit } from './ledger.ts'
import { bpsOf, type Quantity } from './quantity.ts'
import type { StakeRow } from './rows.ts'
import { type EconomyState, periodNow } from './state.ts'

/**
 * Pays a fee to an operator: its commission to the owner, the rest to all who hold its shares. Counted per share, not
 * per token, so a slash in between changes nothing about what was earned.
 */
export function payFee(state: EconomyState, role: UnitRole, operator: Address, fee: Quantity): void {
  const key = `${role} ${operator}`
  const pool = state.pools.get(key)
  const registration = state.operators.get(key)
  if (pool === undefined || pool.shares === 0n) {
    if (registration === undefined) addFunds(state, { insurance: fee })
    else credit(state, registration.owner, fee)
    return
  }
  const commission = registration === undefined ? 0n : bpsOf(fee, BigInt(commissionOf(state, registration)))
  if (registration !== undefined) credit(state, registration.owner, commission)
  const scaled = (fee - commission) * shareScale
  const due = scaled + pool.rewardRem
  state.pools.set(key, {
    ...pool,
    rewardAcc: pool.rewardAcc + due / pool.shares,
    rewardRem: due % pool.shares,
    rewardsOwed: pool.rewardsOwed + scaled,
  })
}

/** Puts what the holder has earned into its balance. Its shares stay as they are, or are 0 if slashed away since. */
export function settleRewards(state: EconomyState, role: UnitRole, operator: Address, holder: Account): StakeRow {
  const key = `${role} ${operator}`
  const pool = state.pools.get(key)
  const stake = state.stakes.get(`${key} ${holder}`)
  const generation = pool?.generation ?? 0
  if (pool === undefined || stake === undefined) {
    return { shares: 0n, generation, rewardLast: pool?.rewardAcc ?? 0n, rewardFrac: 0n }
  }
  const acc = pool.finalAccs[stake.generation] ?? pool.rewardAcc
  const earned = (acc - stake.rewardLast) * stake.shares + stake.rewardFrac
  const whole = earned / shareScale
  credit(state, holder, whole)
  const settled = {
    generation,
    shares: stake.generation === generation ? stake.shares : 0n,
    rewardLast: pool.rewardAcc,
    rewardFrac: earned % shareScale,
  }
  state.stakes.set(`${key} ${holder}`, settled)
  if (whole > 0n) state.pools.set(key, { ...pool, rewardsOwed: pool.rewardsOwed - whole * shareScale })
  return settled
}

/** Basis points in force in this period. */
export const commissionOf = (
  state: EconomyState,
  row: { commissionBps: number; nextCommission: { bps: number; from: number } | undefined },
): number =>
  row.nextCommission !== undefined && row.nextCommission.from <= periodNow(state)
    ? row.nextCommission.bps
    : row.commissionBps

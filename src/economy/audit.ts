import { emptyClass, shareScale } from './distribution.ts'
import { mintedSoFar } from './emission.ts'
import type { EconomyState } from './state.ts'

/** Where every minted part of an armstrong is, scaled by `shareScale`: the parts add up to `minted` exactly. */
export interface Audit {
  readonly minted: bigint
  readonly balances: bigint
  /** Earned by holders and not settled yet. */
  readonly pending: bigint
  readonly pools: bigint
  readonly buckets: bigint
  readonly escrow: bigint
  readonly insurance: bigint
  readonly burned: bigint
  /** Fees earned by stakers and not settled yet. */
  readonly rewards: bigint
  /** `minted` less all others: 0, or the state is wrong. */
  readonly missing: bigint
}

/** Adds everything up: for tests and for whoever wants to be sure. Takes time in proportion to the state. */
export function audit(state: EconomyState): Audit {
  const sum = <V>(entries: Iterable<[string, V]>, of: (row: V) => bigint): bigint => {
    let total = 0n
    for (const [, row] of entries) total += of(row)
    return total
  }
  const { escrow, insurance, burned } = state.funds.value
  const parts = {
    balances: sum(state.balances.entries(), quantity => quantity) * shareScale,
    pending: pendingOfAll(state),
    pools: sum(state.pools.entries(), ({ tokens }) => tokens) * shareScale,
    buckets: sum(state.buckets.entries(), ({ tokens }) => tokens) * shareScale,
    escrow: escrow * shareScale,
    insurance: insurance * shareScale,
    burned: burned * shareScale,
    rewards: sum(state.pools.entries(), ({ rewardsOwed }) => rewardsOwed),
  }
  const minted = mintedSoFar(state.emission.value) * shareScale
  return { minted, ...parts, missing: Object.values(parts).reduce((left, part) => left - part, minted) }
}

/** The identity of economy.md 1.3: in holders, in resources on the way, and in classes. */
function pendingOfAll(state: EconomyState): bigint {
  let total = 0n
  for (const [key, { quantity, last, frac }] of state.holders.entries()) {
    const resource = state.resources.get(key.split(' ')[0] ?? '')
    total += ((resource?.acc ?? 0n) - last) * quantity + frac
  }
  for (const [, row] of state.resources.entries()) {
    const { acc } = state.classes.get(row.class) ?? emptyClass
    total += (acc - row.lastClassAcc) * row.weight * row.quantity
  }
  for (const [, { rem, undistributed }] of state.classes.entries()) total += rem + undistributed * shareScale
  return total
}

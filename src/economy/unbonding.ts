import { AoError } from '../lib/errors.ts'
import type { Address } from '../protocol/ids.ts'
import type { UnitRole } from '../protocol/unit-record.ts'
import type { Account } from './account.ts'
import { credit } from './ledger.ts'
import { poolKey } from './pools.ts'
import type { Quantity } from './quantity.ts'
import type { BucketRow, UnbondingEntry } from './rows.ts'
import type { EconomyState } from './state.ts'

/** Of one holder over all operators: what bounds the work of one `Withdraw`. */
const maxEntries = 64
const firstShares = 1_000_000n

export const bucketKey = (role: UnitRole, operator: Address, bucket: number): string => `${role} ${operator} ${bucket}`
export const bucketOf = ({ params }: EconomyState, height: number): number => Math.floor(height / params.bucketBlocks)

/**
 * Puts tokens that leave a pool where a slash still reaches them. Those that begin to leave in the same bucket share it.
 *
 * @throws AoError `NOT_ALLOWED` if the holder has too many entries waiting.
 */
export function beginUnbonding(
  state: EconomyState,
  at: { role: UnitRole; operator: Address; holder: Account; tokens: Quantity },
): UnbondingEntry {
  const { role, operator, holder, tokens } = at
  const entries = state.unbondings.get(holder) ?? []
  const alike = entries.filter(entry => entry.role === role && entry.operator === operator)
  const { maxUnbondings, unbondingBlocks } = state.params
  if (alike.length >= maxUnbondings || entries.length >= maxEntries) {
    throw new AoError('NOT_ALLOWED', 'too many unbondings are waiting', { waiting: entries.length, maxUnbondings })
  }
  const { height } = state.clock.value
  const bucket = bucketOf(state, height)
  const key = bucketKey(role, operator, bucket)
  const row = state.buckets.get(key) ?? { tokens: 0n, shares: 0n }
  // Shares of a bucket that was slashed to nothing are worth nothing, and new ones must not pay for them.
  const shares = row.tokens === 0n ? tokens * firstShares : (tokens * row.shares) / row.tokens
  if (row.tokens === 0n && row.shares > 0n) {
    throw new AoError('NOT_ALLOWED', 'stake that left today was slashed whole; try in the next bucket', { bucket })
  }
  if (shares <= 0n) throw new AoError('INVALID_ARGUMENT', 'the quantity is too small')
  state.buckets.set(key, { tokens: row.tokens + tokens, shares: row.shares + shares })
  const entry = { role, operator, bucket, shares, release: height + unbondingBlocks }
  state.unbondings.set(holder, [...entries, entry])
  return entry
}

/** Pays out what has waited long enough and is not frozen. */
export function withdraw(state: EconomyState, holder: Account): Quantity {
  const { height } = state.clock.value
  let paid = 0n
  const waiting: UnbondingEntry[] = []
  for (const entry of state.unbondings.get(holder) ?? []) {
    if (entry.release > height || isFrozen(state, entry.role, entry.operator)) waiting.push(entry)
    else paid += redeemEntry(state, entry)
  }
  if (waiting.length === 0) state.unbondings.delete(holder)
  else state.unbondings.set(holder, waiting)
  credit(state, holder, paid)
  return paid
}

/** No withdrawal while a slash waits or a dispute is open: whatever comes of it, the stake is there. */
export const isFrozen = (state: EconomyState, role: UnitRole, operator: Address): boolean =>
  (state.holds.get(poolKey(role, operator))?.disputes ?? 0) > 0

/** The buckets that a fault since `since` reaches, oldest first: at most one for each bucket of the evidence's age. */
export function bucketsSince(
  state: EconomyState,
  at: { role: UnitRole; operator: Address; since: number },
): readonly { readonly key: string; readonly row: BucketRow }[] {
  const found: { key: string; row: BucketRow }[] = []
  // The whole bucket that `since` lies in: what left in it after the fault must not escape.
  for (let bucket = bucketOf(state, at.since); bucket <= bucketOf(state, state.clock.value.height); bucket++) {
    const key = bucketKey(at.role, at.operator, bucket)
    const row = state.buckets.get(key)
    if (row !== undefined) found.push({ key, row })
  }
  return found
}

/** What an entry is worth now: a slash may still reach it. */
export function worthOf(state: EconomyState, { role, operator, bucket, shares }: UnbondingEntry): Quantity {
  const row = state.buckets.get(bucketKey(role, operator, bucket))
  if (row === undefined) return 0n
  return shares === row.shares ? row.tokens : (shares * row.tokens) / row.shares
}

function redeemEntry(state: EconomyState, entry: UnbondingEntry): Quantity {
  const { role, operator, bucket, shares } = entry
  const key = bucketKey(role, operator, bucket)
  const row = state.buckets.get(key)
  if (row === undefined) return 0n
  const tokens = worthOf(state, entry)
  if (shares === row.shares) state.buckets.delete(key)
  else state.buckets.set(key, { tokens: row.tokens - tokens, shares: row.shares - shares })
  return tokens
}

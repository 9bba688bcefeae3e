import { AoError } from '../lib/errors.ts'
import type { Address, ProcessId } from '../protocol/ids.ts'
import type { UnitRole } from '../protocol/unit-record.ts'
import type { Account } from './account.ts'
import { schedule } from './agenda.ts'
import { addFunds, credit } from './ledger.ts'
import { operatorOf, updateActivity } from './operators.ts'
import { type FaultKind, faultRules, slashBps } from './penalties.ts'
import { bondedAt, cutPool, peakSince, poolKey, poolOf } from './pools.ts'
import { bpsOf, cutProRata, maxOf, minOf, parseQuantity, type Quantity } from './quantity.ts'
import type { OffenceRow } from './rows.ts'
import type { EconomyState } from './state.ts'
import { bucketsSince } from './unbonding.ts'

export interface Conviction {
  readonly kind: FaultKind
  readonly digest: string
  readonly role: UnitRole
  readonly operator: Address
  readonly reporter: Account
  readonly process: ProcessId | undefined
  /** Where the host table knows the interval in which the unit was responsible: its first height. */
  readonly since?: number | undefined
}

/** How one execution was shared out: reporter + fund + burned = slashed. */
export interface SlashSplit {
  readonly role: UnitRole
  readonly operator: Address
  readonly slashed: Quantity
  readonly reporter: Account
  readonly toReporter: Quantity
  readonly toFund: Quantity
  readonly burned: Quantity
}

/**
 * A verdict of guilty: freezes at once, jails or tombstones, and slashes after the delay.
 *
 * @throws AoError `DUPLICATE_EVIDENCE` if this very evidence was judged before.
 */
export function convict(state: EconomyState, conviction: Conviction): void {
  const { kind, digest, role, operator, reporter, process } = conviction
  if (state.verdicts.has(digest)) throw new AoError('DUPLICATE_EVIDENCE', 'this evidence was judged before', { digest })
  const rule = faultRules[kind]
  const { height } = state.clock.value
  state.verdicts.set(digest, { kind, role, operator, class: rule.class, reporter, height, process })
  const oldest = height - state.params.evidenceAgeBlocks
  const since = Math.max(conviction.since ?? oldest, oldest)
  const key = `${poolKey(role, operator)} ${rule.class}`
  const known = state.offences.get(key)
  const open = known !== undefined && known.at + state.params.correlationBlocks >= height ? known : undefined
  const stakeAt = peakSince(state, role, operator, since)
  state.offences.set(key, {
    ...(open ?? newOffence(state, conviction)),
    stakeAt: maxOf(stakeAt, open?.stakeAt ?? 0n),
    since: Math.min(since, open?.since ?? since),
  })
  const dueAt = height + state.params.slashDelayBlocks
  changeDisputes(state, role, operator, 1)
  punish(state, role, operator, kind)
  schedule(state, { height: dueAt, kind: 'slash', key })
}

/**
 * Takes what an offence costs by now, and more of those before it in the window whose penalty it raises. What each
 * loses in the end depends on which offences there were, not on their order.
 */
export function executeSlash(state: EconomyState, key: string): readonly SlashSplit[] {
  const due = state.offences.get(key)
  if (due === undefined) return []
  state.offences.set(key, { ...due, executed: true })
  changeDisputes(state, due.role, due.operator, -1)
  const splits: SlashSplit[] = []
  for (const other of state.offences.keysInOrder()) {
    const offence = state.offences.get(other)
    if (offence === undefined || !offence.executed || offence.role !== due.role) continue
    if (Math.abs(offence.at - due.at) > state.params.correlationBlocks || (other !== key && !offence.correlated))
      continue
    const split = takeSlash(state, other, offence)
    if (split !== undefined) splits.push(split)
  }
  return splits
}

/** Basis points that an offence costs, with what else was slashed in its window and role. */
export function bpsOfOffence(state: EconomyState, offence: OffenceRow): bigint {
  if (!offence.correlated) return BigInt(offence.baseBps)
  const { correlationBlocks, correlationMultiplier } = state.params
  let others = 0n
  for (const [, other] of state.offences.entries()) {
    const near = Math.abs(other.at - offence.at) <= correlationBlocks
    if (other.role !== offence.role || other.operator === offence.operator || !other.executed || !near) continue
    others += bpsOf(other.stakeAt, BigInt(other.baseBps))
  }
  const bonded = bondedAt(state, offence.role, offence.at - correlationBlocks)
  return slashBps(BigInt(offence.baseBps), others, bonded, BigInt(correlationMultiplier))
}

function takeSlash(state: EconomyState, key: string, offence: OffenceRow): SlashSplit | undefined {
  const { role, operator, since, stakeAt, slashed, reporter, paidReporter } = offence
  const pool = poolOf(state, role, operator).tokens
  const buckets = bucketsSince(state, { role, operator, since })
  const reachable = buckets.reduce((sum, { row }) => sum + row.tokens, pool)
  const amount = minOf(bpsOf(stakeAt, bpsOfOffence(state, offence)) - slashed, reachable)
  if (amount <= 0n) return undefined
  const [fromPool = 0n, ...fromBuckets] = cutProRata(amount, [pool, ...buckets.map(({ row }) => row.tokens)])
  if (fromPool > 0n) cutPool(state, role, operator, fromPool)
  for (const [i, { key: bucket, row }] of buckets.entries()) {
    state.buckets.set(bucket, { ...row, tokens: row.tokens - (fromBuckets[i] ?? 0n) })
  }
  updateActivity(state, role, operator)
  const cap = parseQuantity(state.params.reporterCap) - paidReporter
  const toReporter = minOf(bpsOf(amount, BigInt(state.params.reporterBps)), maxOf(cap, 0n))
  const toFund = bpsOf(amount, BigInt(state.params.victimBps))
  const burned = amount - toReporter - toFund
  credit(state, reporter, toReporter)
  addFunds(state, { insurance: toFund, burned, slashed: amount })
  state.offences.set(key, { ...offence, slashed: slashed + amount, paidReporter: paidReporter + toReporter })
  return { role, operator, slashed: amount, reporter, toReporter, toFund, burned }
}

function newOffence(state: EconomyState, { kind, role, operator, reporter }: Conviction): OffenceRow {
  const rule = faultRules[kind]
  return {
    ...{ role, operator, reporter, class: rule.class, baseBps: rule.bps, correlated: rule.correlated },
    at: state.clock.value.height,
    stakeAt: 0n,
    since: 0,
    executed: false,
    slashed: 0n,
    paidReporter: 0n,
  }
}

/** One more, or one less, open dispute or waiting slash: while there is one, nothing is paid out. */
export function changeDisputes(state: EconomyState, role: UnitRole, operator: Address, by: 1 | -1): void {
  const key = poolKey(role, operator)
  const hold = state.holds.get(key) ?? noHold
  state.holds.set(key, { ...hold, disputes: hold.disputes + by })
}

const noHold = { disputes: 0, tombstoned: false }

function punish(state: EconomyState, role: UnitRole, operator: Address, kind: FaultKind): void {
  const key = poolKey(role, operator)
  const rule = faultRules[kind]
  const row = operatorOf(state, role, operator)
  if (rule.tombstone) {
    // Also a key that never registered is remembered: it must not come to stake later.
    state.holds.set(key, { ...(state.holds.get(key) ?? noHold), tombstoned: true })
    if (row !== undefined) state.operators.set(key, { ...row, tombstoned: true, activeFrom: undefined })
    return
  }
  if (row === undefined || row.tombstoned) return
  const { jailBlocks, maxJailBlocks, jailResetBlocks } = state.params
  const { height } = state.clock.value
  const clean = row.jailTerm === 0 || height > row.jailedUntil + jailResetBlocks
  const term = rule.longJail ? maxJailBlocks : Math.min(maxJailBlocks, clean ? jailBlocks : row.jailTerm * 2)
  state.operators.set(key, {
    ...row,
    jailed: true,
    jailTerm: term,
    jailedUntil: Math.max(row.jailedUntil, height + term),
  })
}

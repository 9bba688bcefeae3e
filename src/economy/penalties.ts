import { basisPoints, minOf, type Quantity } from './quantity.ts'
import type { FaultClass } from './rows.ts'

/** Faults that this version judges: economy.md section 3. */
export type FaultKind = 'F1' | 'F1b' | 'F2' | 'F3' | 'F5' | 'F8' | 'F9'

export interface FaultRule {
  readonly class: FaultClass
  /** Of the stake at the fault. */
  readonly bps: number
  /** The more of a role is slashed within one window, the more each loses. */
  readonly correlated: boolean
  readonly tombstone: boolean
  /** The longest term at once, instead of one that doubles. */
  readonly longJail: boolean
}

export const faultRules = {
  F1: { class: 'order', bps: 5000, correlated: true, tombstone: true, longJail: false },
  F1b: { class: 'order', bps: 5000, correlated: true, tombstone: true, longJail: false },
  F2: { class: 'publication', bps: 500, correlated: false, tombstone: false, longJail: true },
  F3: { class: 'liveness', bps: 50, correlated: false, tombstone: false, longJail: false },
  // 10 % of what is not reserved; a reserved part exists only once results are insured (SIV).
  F5: { class: 'equivocation', bps: 1000, correlated: true, tombstone: true, longJail: false },
  F8: { class: 'delivery', bps: 50, correlated: false, tombstone: false, longJail: false },
  F9: { class: 'anchor', bps: 1000, correlated: false, tombstone: false, longJail: true },
} as const satisfies Record<FaultKind, FaultRule>

/** base + multiplier × what else was slashed in the window / what was bonded at its start; at most everything. */
export const slashBps = (base: bigint, slashed: Quantity, bonded: Quantity, multiplier: bigint): bigint =>
  minOf(
    basisPoints,
    base + (slashed === 0n ? 0n : bonded === 0n ? basisPoints : (multiplier * slashed * basisPoints) / bonded),
  )

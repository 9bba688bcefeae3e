import type { EmissionParams } from '../protocol/economy-params.ts'
import { oneAo, type Quantity } from './quantity.ts'

/** No more than this is ever minted: 21 million AO. */
export const supplyCap: Quantity = 21_000_000n * oneAo
const rateDenominator = 10n ** 30n

/**
 * What of the remaining supply one cycle mints, as N of 10^30. `halving-4y`: 1 - 2^(-1/420768), half in 4 × 365.25
 * days of 5-minute cycles. `ao-1425`: 1 - 0.98575^(1/8766), the published 1.425 % in 30.4375 days.
 */
const rateNumerators = {
  'halving-4y': 1647336797561507119256733n,
  'ao-1425': 1637291178962054324322543n,
} as const satisfies Record<EmissionParams['profile'], bigint>

/** Where the emission stands after `cycle` cycles. `carry` of 10^30 is what rounding has kept back so far. */
export interface EmissionRow {
  readonly cycle: number
  readonly remaining: Quantity
  readonly carry: bigint
  /** What the class split has kept back so far, of the phase's `of`. */
  readonly splitCarry: bigint
}

export const emissionStart: EmissionRow = { cycle: 0, remaining: supplyCap, carry: 0n, splitCarry: 0n }

export const mintedSoFar = ({ remaining }: EmissionRow): Quantity => supplyCap - remaining

/** The cycle that a moment falls in. @param timestampMs Arweave's block timestamp. */
export const cycleAt = ({ genesisMs, cycleMs }: EmissionParams, timestampMs: number): number =>
  Math.max(0, Math.floor((timestampMs - genesisMs) / cycleMs))

/**
 * Mints `cycles` more cycles.
 *
 * Invariant: what is minted after n cycles depends on n alone, and is within one armstrong of the real curve, because
 * what a division leaves is carried into the next one.
 */
export function mintCycles(row: EmissionRow, profile: EmissionParams['profile'], cycles: number): EmissionRow {
  const numerator = rateNumerators[profile]
  let { remaining, carry } = row
  for (let i = 0; i < cycles; i++) {
    const due = remaining * numerator + carry
    const minted = due / rateDenominator
    carry = due - minted * rateDenominator
    remaining -= minted
  }
  return { ...row, cycle: row.cycle + cycles, remaining, carry }
}

/** A run of cycles of one phase, and what each class gets of it. */
export interface MintedRun {
  readonly row: EmissionRow
  readonly ar: Quantity
  readonly bridge: Quantity
}

/** Advances to `toCycle`, in as many runs as phases are met. */
export function* mintRuns(start: EmissionRow, params: EmissionParams, toCycle: number): Generator<MintedRun> {
  let row = start
  while (row.cycle < toCycle) {
    const { phase, lastCycle } = phaseAfter(params, row.cycle)
    const next = mintCycles(row, params.profile, Math.min(toCycle, lastCycle) - row.cycle)
    const minted = row.remaining - next.remaining
    const due = minted * BigInt(phase.ar) + row.splitCarry
    const ar = due / BigInt(phase.of)
    // A new phase has other parts; what the old one kept back has gone to the bridge class already.
    row = { ...next, splitCarry: next.cycle === lastCycle ? 0n : due % BigInt(phase.of) }
    yield { row, ar, bridge: minted - ar }
  }
}

/** The phase of the cycle after `cycle`. Splitting a run's sum gives what splitting cycle by cycle does: the carry. */
function phaseAfter(
  { phases }: EmissionParams,
  cycle: number,
): { phase: EmissionParams['phases'][number]; lastCycle: number } {
  const at = phases.findLastIndex(({ fromCycle }) => fromCycle <= cycle + 1)
  const phase = phases[at]
  if (phase === undefined) throw new TypeError('the first phase begins at cycle 1')
  return { phase, lastCycle: (phases[at + 1]?.fromCycle ?? Number.MAX_SAFE_INTEGER) - 1 }
}

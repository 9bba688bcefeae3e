import { AoError, hasCode } from '../lib/errors.ts'
import { drip, emptyClass } from './distribution.ts'
import { cycleAt, mintedSoFar, mintRuns } from './emission.ts'
import { useReport } from './holdings.ts'
import type { Quantity } from './quantity.ts'
import type { EconomyState } from './state.ts'

export interface Minted {
  readonly fromCycle: number
  readonly toCycle: number
  readonly quantity: Quantity
}

/** Runs the emission up to now, or as far as one message may. Who calls when changes nothing about the outcome. */
export function mint(state: EconomyState): Minted {
  const { params, emission, clock } = state
  const from = emission.value
  const now = cycleAt(params.emission, clock.value.timestamp)
  const to = Math.min(now, from.cycle + params.emission.maxCyclesPerMint)
  while (emission.value.cycle < to) {
    mintTo(state, Math.min(to, nextChange(state)))
    useReportsDue(state)
  }
  const { value } = emission
  return { fromCycle: from.cycle, toCycle: value.cycle, quantity: mintedSoFar(value) - mintedSoFar(from) }
}

/**
 * As `mint`, before something that changes who earns how much.
 *
 * @throws AoError `NOT_READY` if the emission is further behind than one message may bring it: then the outcome would
 * depend on when this message came.
 */
export function mintUpToNow(state: EconomyState): void {
  const { toCycle } = mint(state)
  const behind = cycleAt(state.params.emission, state.clock.value.timestamp) - toCycle
  if (behind > 0) throw new AoError('NOT_READY', 'Behind: send Mint first', { cyclesBehind: behind })
}

function mintTo(state: EconomyState, cycle: number): void {
  for (const { row, ar, bridge } of mintRuns(state.emission.value, state.params.emission, cycle)) {
    state.emission.value = row
    const nobodyBridged = (state.classes.get('bridge') ?? emptyClass).total === 0n
    drip(state, 'ar', nobodyBridged ? ar + bridge : ar)
    if (!nobodyBridged) drip(state, 'bridge', bridge)
  }
}

/** The cycle in which a report that was held back comes into force: the emission stops there, whoever mints when. */
function nextChange({ heldReports, params, emission }: EconomyState): number {
  let next = Number.MAX_SAFE_INTEGER
  for (const [, { cycle }] of heldReports.entries()) next = Math.min(next, cycle + params.oracle.changeDelayCycles)
  return Math.max(next, emission.value.cycle)
}

function useReportsDue(state: EconomyState): void {
  const { cycle } = state.emission.value
  for (const resource of state.heldReports.keysInOrder()) {
    const held = state.heldReports.get(resource)
    if (held === undefined || cycle < held.cycle + state.params.oracle.changeDelayCycles) continue
    state.heldReports.delete(resource)
    try {
      state.journal.transact(() => useReport(state, held))
    } catch (error) {
      if (!hasCode(error, 'NOT_ALLOWED')) throw error // else it no longer fits: the last value holds
    }
  }
}

import { totalSupply } from '../../economy/ledger.ts'
import type { EconomyState } from '../../economy/state.ts'
import type { Telemetry } from '../../lib/telemetry.ts'

/** Figures of the replayed economy, in whole AO and parts of it. */
export function measureEconomy(
  metrics: Telemetry['metrics'],
  economy: { readonly state: () => EconomyState | undefined; readonly replayed: () => number },
): void {
  const of = (read: (state: EconomyState) => bigint) => (): number => {
    const state = economy.state()
    return state === undefined ? 0 : Number(read(state) / 10n ** 6n) / 1e6
  }
  metrics.gauge('aonet_economy_replayed_messages', 'Messages of AO-Sec Origin replayed from Arweave', economy.replayed)
  metrics.gauge('aonet_economy_supply_ao', 'Tokens minted and not burned, in AO', of(totalSupply))
  metrics.gauge(
    'aonet_economy_slashed_ao',
    'Stake slashed since the beginning, in AO',
    of(state => state.funds.value.slashed),
  )
  for (const role of ['SU', 'CU', 'MU'] as const) {
    metrics.gauge(
      `aonet_economy_bonded_${role.toLowerCase()}_ao`,
      `Stake bonded for ${role}s, in AO`,
      of(state => state.totals.get(role)?.at(-1)?.value ?? 0n),
    )
  }
}

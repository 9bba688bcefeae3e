import { shareScale } from '../../economy/distribution.ts'
import { balanceOf, totalSupply } from '../../economy/ledger.ts'
import { poolOf } from '../../economy/pools.ts'
import type { PoolRow } from '../../economy/rows.ts'
import type { EconomyState } from '../../economy/state.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { Address } from '../../protocol/ids.ts'

/** Figures of the replayed economy, in whole AO and parts of it. */
export function measureEconomy(
  metrics: Telemetry['metrics'],
  economy: { readonly state: () => EconomyState | undefined; readonly replayed: () => number },
  own?: Address,
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
    if (own === undefined) continue
    const pool = (state: EconomyState): PoolRow => poolOf(state, role, own)
    metrics.gauge(
      `aonet_economy_own_stake_${role.toLowerCase()}_ao`,
      `Stake of this node as ${role}, delegations included, in AO`,
      of(state => pool(state).tokens),
    )
    metrics.gauge(
      `aonet_economy_own_rewards_${role.toLowerCase()}_ao`,
      `Fees earned by this node as ${role} that wait for those who hold its stake, in AO`,
      of(state => pool(state).rewardsOwed / shareScale),
    )
  }
  if (own === undefined) return
  metrics.gauge(
    'aonet_economy_own_balance_ao',
    'What this node has for bonds, in AO',
    of(state => balanceOf(state, own)),
  )
}

import assert from 'node:assert/strict'
import { oneAo } from '../../../../src/economy/quantity.ts'
import { payFee } from '../../../../src/economy/rewards.ts'
import { type Metrics, silentTelemetry } from '../../../../src/lib/telemetry.ts'
import type { Address } from '../../../../src/protocol/ids.ts'
import { measureEconomy } from '../../../../src/units/economy/gauges.ts'
import { Court } from '../../../support/court.ts'
import { addressOf } from '../../../support/origin.ts'

describe('units/economy: what /metrics tells an operator', () => {
  it('is what is at stake for the node, what it has earned, and what it has for bonds', () => {
    const court = new Court()
    const own = addressOf('mu') as Address
    court.act('faucet', 'Transfer', { Recipient: addressOf('owner'), Quantity: String(300n * oneAo) })
    court.act('owner', 'Stake', { Role: 'MU', Operator: own, Quantity: String(250n * oneAo) })
    court.act('mu', 'Register-Operator', { Role: 'MU', 'Owner-Account': addressOf('owner') })
    const read = new Map<string, () => number>()
    const metrics: Metrics = {
      ...silentTelemetry.metrics,
      gauge: (name, help, value) => {
        if (value !== undefined) read.set(name, value)
        return silentTelemetry.metrics.gauge(name, help)
      },
    }
    measureEconomy(metrics, { state: () => court.state, replayed: () => 7 }, own)
    const value = (name: string): number | undefined => read.get(`aonet_economy_${name}`)?.()
    assert.deepEqual(
      [
        'replayed_messages',
        'bonded_mu_ao',
        'own_stake_mu_ao',
        'own_stake_su_ao',
        'own_rewards_mu_ao',
        'own_balance_ao',
      ].map(value),
      [7, 250, 250, 0, 0, 20],
    )
    payFee(court.state, 'MU', own, 3n * oneAo)
    assert.equal(value('own_rewards_mu_ao'), 3)
  })
})

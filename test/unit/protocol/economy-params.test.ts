import assert from 'node:assert/strict'
import {
  checkEconomyParams,
  type EconomyParams,
  mainEconomy,
  testnetEconomy,
} from '../../../src/protocol/economy-params.ts'

describe('protocol/economy-params', () => {
  const { emission } = mainEconomy
  const broken: readonly (readonly [rule: string, change: Partial<EconomyParams>])[] = [
    ['evidenceAgeBlocks < unbondingBlocks', { evidenceAgeBlocks: mainEconomy.unbondingBlocks }],
    ['deliveryBlocks + responseBlocks', { deliveryBlocks: mainEconomy.evidenceAgeBlocks - mainEconomy.responseBlocks }],
    ['responseBlocks > 0', { responseBlocks: 0 }],
    ['periodBlocks > 0', { periodBlocks: 1.5 }],
    ['headerBlocks > 0', { oracle: { ...mainEconomy.oracle, headerBlocks: 0 } }],
    ['reporterBps + victimBps', { reporterBps: 6000 }],
    ['maxCommissionBps', { maxCommissionBps: 10_001 }],
    ['commitMinBlocks < commitMaxBlocks', { commitMinBlocks: 60 }],
    ['100 * bucketBlocks', { bucketBlocks: 151 }],
    ['begins at cycle 1', { emission: { ...emission, phases: [] } }],
    ['0 <= ar <= of', { emission: { ...emission, phases: [{ fromCycle: 1, ar: 4, of: 3 }] } }],
    ['in order', { emission: { ...emission, phases: [...emission.phases].flatMap(phase => [phase, phase]) } }],
    ['cycleMs > 0', { emission: { ...emission, cycleMs: 0 } }],
  ]

  it('takes those of both networks, and none under which a fault goes unpunished or an amount gets lost', () => {
    for (const params of [mainEconomy, testnetEconomy]) assert.equal(checkEconomyParams(params), params)
    for (const [rule, change] of broken) {
      const refused = (error: Error): boolean => error.message.includes(rule)
      assert.throws(() => checkEconomyParams({ ...mainEconomy, ...change }), refused, rule)
    }
  })

  it('play from a fault to its last consequence within two minutes on a testnet, whose blocks take a second', () => {
    const { activationPeriods, periodBlocks, commitMinBlocks, slashDelayBlocks, settlementDepth } = testnetEconomy
    const { publicationBlocks, responseBlocks, biddingBlocks, deliveryBlocks } = testnetEconomy
    const staking = activationPeriods * periodBlocks
    const slowestProof = Math.max(commitMinBlocks, publicationBlocks + responseBlocks, deliveryBlocks + responseBlocks)
    const consequence = Math.max(slashDelayBlocks, biddingBlocks)
    assert.ok(staking + slowestProof + consequence + 4 * settlementDepth <= 120)
    assert.ok(testnetEconomy.unbondingBlocks <= 120 && testnetEconomy.takeoverBlocks <= 120)
  })
})

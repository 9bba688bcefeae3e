import assert from 'node:assert/strict'
import fc from 'fast-check'
import { audit } from '../../../src/economy/audit.ts'
import { cycleAt, emissionStart, mintCycles, mintedSoFar, supplyCap } from '../../../src/economy/emission.ts'
import { applyEvent } from '../../../src/economy/events.ts'
import { genesis } from '../../../src/economy/genesis.ts'
import { standingOf } from '../../../src/economy/operators.ts'
import { liveShares } from '../../../src/economy/pools.ts'
import { type EconomyState, restoreState, snapshotState, stateHash } from '../../../src/economy/state.ts'
import {
  anyStep,
  Economy,
  faultAct,
  opening,
  operators,
  people,
  propertyRuns,
  type Step,
  testEconomy,
} from '../../support/economy.ts'

const slow = globalThis.process.env['AONET_SLOW_TESTS'] === '1'
const steps = (fast: number, long = fast): fc.Arbitrary<Step[]> =>
  fc.array(anyStep(true), { maxLength: slow ? long : fast, size: 'max' })
const played = (all: readonly Step[], economy = new Economy()): Economy => {
  for (const step of [...opening, ...all]) economy.play(step)
  return economy
}

describe('economy: what holds whatever people do', function () {
  this.timeout(slow ? 3_600_000 : 40_000)

  it('every part of every armstrong is somewhere, after every event', () => {
    fc.assert(
      fc.property(steps(60, 200), all => {
        const check = ({ state, applied }: Economy): void => {
          assert.equal(audit(state).missing, 0n, `after ${applied.at(-1)?.event.type}`)
          checkShares(state)
          checkNothingNegative(state)
        }
        played(all, new Economy(testEconomy, check))
      }),
      propertyRuns(40),
    )
  })

  it('one economy that lives long keeps every armstrong, after each of very many events', () => {
    const { numRuns: count } = propertyRuns(2_000, 100_000)
    let most = 0n
    const check = ({ state, applied }: Economy): void => {
      assert.equal(audit(state).missing, 0n, `after event ${applied.length}`)
      const minted = mintedSoFar(state.emission.value)
      assert.ok(minted <= supplyCap && minted >= most)
      most = minted
    }
    const economy = new Economy(testEconomy, check)
    for (const step of opening) economy.play(step)
    for (const step of fc.sample(anyStep(true), { numRuns: count, seed: 20_261_124 })) economy.play(step)
    assert.ok(economy.applied.length > count / 10, 'enough of it was more than refused')
  })

  it('what is slashed is what reporter, fund and fire got, to the armstrong', () => {
    fc.assert(
      fc.property(steps(60), all => {
        const economy = new Economy()
        let [slashed, parts] = [0n, 0n]
        for (const step of [...opening, ...all]) {
          try {
            economy.advance(step.blocks)
            if (
              step.act.type === 'accuse' ||
              step.act.type === 'answer' ||
              step.act.type === 'offer' ||
              step.act.type === 'tell'
            ) {
              economy.play({ ...step, blocks: 0 })
              continue
            }
            for (const happened of economy.apply(step.act)) {
              if (happened.type !== 'slashed') continue
              const { split } = happened
              assert.equal(split.slashed, split.toReporter + split.toFund + split.burned)
              slashed += split.slashed
              parts += split.toReporter + split.toFund + split.burned
            }
          } catch {} // refused: nothing happened
        }
        assert.equal(slashed, parts)
        assert.ok(economy.state.funds.value.slashed >= slashed)
      }),
      propertyRuns(30),
    )
  })

  it('a refused event leaves no trace at all', () => {
    fc.assert(
      fc.property(steps(40), all => {
        const economy = played([])
        for (const step of all) {
          const before = stateHash(economy.state)
          // These are several events, of which the first may have happened.
          const isOne = step.act.type !== 'accuse' && step.act.type !== 'tell'
          if (economy.play(step) !== undefined && isOne) {
            assert.equal(stateHash(economy.state), before, step.act.type)
          }
        }
      }),
      propertyRuns(8),
    )
  })

  it('mints what the schedule says and never more than the cap', () => {
    fc.assert(
      fc.property(steps(40), all => {
        const { state } = played(all)
        const { cycle } = state.emission.value
        const minted = mintedSoFar(state.emission.value)
        assert.equal(minted, mintedSoFar(mintCycles(emissionStart, 'halving-4y', cycle)))
        assert.ok(minted <= supplyCap && cycle <= cycleAt(testEconomy.emission, state.clock.value.timestamp))
      }),
      propertyRuns(20),
    )
  })

  it('a checkpoint and the rest of the log give the state of the whole log', () => {
    fc.assert(
      fc.property(steps(40), fc.nat(60), (all, cut) => {
        const { state, applied } = played(all)
        const whole = replay(genesis(testEconomy), applied)
        const half = replay(genesis(testEconomy), applied.slice(0, cut))
        const restored = restoreState(testEconomy, [...snapshotState(half)])
        assert.equal(stateHash(restored), stateHash(half))
        replay(restored, applied.slice(cut))
        assert.equal(stateHash(whole), stateHash(state))
        assert.equal(stateHash(restored), stateHash(state))
      }),
      propertyRuns(8),
    )
  })

  it('whoever is tombstoned never becomes active again', () => {
    fc.assert(
      fc.property(steps(60), all => {
        const dead = new Set<string>()
        const check = ({ state }: Economy): void => {
          for (const [key, { tombstoned }] of state.holds.entries()) if (tombstoned) dead.add(key)
          for (const role of ['SU', 'CU', 'MU'] as const) {
            for (const unit of operators) {
              if (dead.has(`${role} ${unit}`))
                assert.ok(['unstaked', 'tombstoned'].includes(standingOf(state, role, unit)))
            }
          }
        }
        played(all, new Economy(testEconomy, check))
      }),
      propertyRuns(25),
    )
  })

  it('each Process has one host for each epoch, and epochs only rise', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(anyStep(true), fc.record({ blocks: fc.nat(4), act: faultAct })), { maxLength: 60 }),
        all => {
          const hosts = new Map<string, string>()
          const epochs = new Map<string, number>()
          const check = ({ state }: Economy): void => {
            for (const [process, row] of state.hosts.entries()) {
              assert.ok(row.epoch >= (epochs.get(process) ?? 0), 'the epoch went back')
              epochs.set(process, row.epoch)
              if (row.phase !== 'hosted') continue
              const key = `${process} ${row.epoch}`
              assert.equal(hosts.get(key) ?? row.scheduler, row.scheduler, 'two hosts for one epoch')
              hosts.set(key, row.scheduler)
            }
          }
          played(all, new Economy(testEconomy, check))
        },
      ),
      propertyRuns(25),
    )
  })

  it('nothing stays locked: in the end all bonds, stakes and unbondings come out', () => {
    fc.assert(
      fc.property(steps(50), all => {
        const economy = played(all)
        const { state } = economy
        for (let i = 0; i < 30; i++) tick(economy)
        tick(economy)
        const bids = [...state.hosts.entries()].reduce((sum, [, row]) => sum + row.bounty, 0n)
        assert.equal(state.funds.value.escrow, bids, 'only what waits for the next host of a Process stays locked')
        // Twice: a share worth less than an armstrong can leave once it is the last, and then takes what is there.
        for (const key of [...state.stakes.keysInOrder(), ...state.stakes.keysInOrder()]) leave(economy, key)
        economy.advance(200)
        for (const account of people) economy.apply({ type: 'withdraw', account })
        assert.equal(state.unbondings.size, 0)
        for (const [key, { tokens }] of state.pools.entries()) assert.equal(tokens, 0n, key)
        for (const [key, { tokens }] of state.buckets.entries()) assert.equal(tokens, 0n, key)
      }),
      propertyRuns(15),
    )
  })
})

const tick = (economy: Economy): void => {
  economy.advance(10)
  economy.apply({ type: 'tick' })
}

/** Takes a whole stake out, as soon as there is room for one more unbonding. */
function leave(economy: Economy, key: string): void {
  const { state } = economy
  const [role, operator, holder] = key.split(' ') as ['SU', never, string]
  const pool = state.pools.get(`${role} ${operator}`) ?? assert.fail('no pool')
  const shares = liveShares(pool, state.stakes.get(key))
  for (let tries = 0; shares > 0n && tries < 3; tries++) {
    economy.advance(200)
    economy.apply({ type: 'withdraw', account: holder })
    const act = { type: 'unstake', role, operator, holder, shares } as const
    if (economy.play({ blocks: 0, act }) === undefined) return
  }
}

const replay = (state: EconomyState, log: Economy['applied']): EconomyState => {
  for (const { at, event } of log) applyEvent(state, at, event)
  return state
}

function checkShares(state: EconomyState): void {
  const held = new Map<string, bigint>()
  for (const [key, stake] of state.stakes.entries()) {
    const pool = key.split(' ').slice(0, 2).join(' ')
    const row = state.pools.get(pool) ?? assert.fail('a stake without a pool')
    held.set(pool, (held.get(pool) ?? 0n) + liveShares(row, stake))
  }
  for (const [key, { shares }] of state.pools.entries()) assert.equal(held.get(key) ?? 0n, shares, `shares of ${key}`)
  const inBuckets = new Map<string, bigint>()
  for (const [, entries] of state.unbondings.entries()) {
    for (const { role, operator, bucket, shares } of entries) {
      const key = `${role} ${operator} ${bucket}`
      inBuckets.set(key, (inBuckets.get(key) ?? 0n) + shares)
    }
  }
  for (const [key, { shares }] of state.buckets.entries())
    assert.equal(inBuckets.get(key) ?? 0n, shares, `bucket ${key}`)
}

function checkNothingNegative(state: EconomyState): void {
  for (const [key, quantity] of state.balances.entries()) assert.ok(quantity > 0n, `balance of ${key}`)
  for (const [key, { tokens, shares }] of state.pools.entries()) assert.ok(tokens >= 0n && shares >= 0n, key)
  for (const [key, { tokens, shares }] of state.buckets.entries()) assert.ok(tokens >= 0n && shares >= 0n, key)
  const { escrow, insurance, burned } = state.funds.value
  assert.ok(escrow >= 0n && insurance >= 0n && burned >= 0n)
  for (const [key, { disputes }] of state.holds.entries()) assert.ok(disputes >= 0, `disputes of ${key}`)
}

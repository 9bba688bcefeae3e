import assert from 'node:assert/strict'
import fc from 'fast-check'
import { standingOf } from '../../../src/economy/operators.ts'
import { slashBps } from '../../../src/economy/penalties.ts'
import { peakSince, poolOf, stakeOf } from '../../../src/economy/pools.ts'
import { maxOf, oneAo } from '../../../src/economy/quantity.ts'
import { mainEconomy } from '../../../src/protocol/economy-params.ts'
import type { Address } from '../../../src/protocol/ids.ts'
import {
  answerOf,
  anyStep,
  Economy,
  opening,
  operators,
  propertyRuns,
  type Step,
  testEconomy,
} from '../../support/economy.ts'
import { loadVectors } from '../../support/vectors.ts'

interface Vectors {
  readonly correlatedSlash: { readonly cases: readonly Readonly<Record<string, string>>[] }
  readonly slashSplit: {
    readonly vector: {
      readonly slashed: string
      readonly cut: readonly { readonly after: string }[]
      readonly split: Readonly<Record<'reporter' | 'victimOrInsurance' | 'burn', string>>
    }
  }
}
const { correlatedSlash, slashSplit } = loadVectors('economy/emission.json') as Vectors
const [cheat, other, third] = operators as [Address, Address, Address]
const accuse = (who: number, item = 0, kind: 'F1' | 'F5' | 'F9' = 'F1'): Step => ({
  blocks: 0,
  act: { type: 'accuse', kind, who, item },
})
const wait = (blocks: number): Step => ({ blocks, act: { type: 'tick' } })

describe('economy/slashing', function () {
  this.timeout(globalThis.process.env['AONET_SLOW_TESTS'] === '1' ? 3_600_000 : 40_000)

  it('raises the penalty with what else is slashed, as the vectors say', () => {
    for (const { baseBps, slashedInWindowAO, bondedAtStartAO, multiplier, resultBps } of correlatedSlash.cases) {
      const bps = slashBps(
        BigInt(baseBps ?? 0),
        BigInt(slashedInWindowAO ?? 0),
        BigInt(bondedAtStartAO ?? 0),
        BigInt(multiplier ?? 0),
      )
      assert.equal(String(bps), resultBps)
    }
  })

  it('cuts pool and late bucket, spares what left before the fault, and splits as the vector says', () => {
    const main = new Economy({ ...mainEconomy, holdings: testEconomy.holdings })
    const { state } = main
    main.at = { height: 1000, timestamp: mainEconomy.emission.genesisMs + 4000 * 300_000 }
    const ao = (n: number): bigint => BigInt(n) * oneAo
    main.apply({ type: 'mint' })
    main.apply({ type: 'stake', role: 'SU', operator: cheat, holder: 'alice', tokens: ao(4800) })
    main.apply({ type: 'transfer', from: 'alice', to: 'dave', quantity: ao(10) })
    main.apply({ type: 'register', role: 'SU', operator: cheat, owner: 'alice', peer: '', urls: '', commissionBps: 0 })
    const leave = (tokens: bigint): void => {
      const { shares, tokens: all } = poolOf(state, 'SU', cheat)
      main.apply({ type: 'unstake', role: 'SU', operator: cheat, holder: 'alice', shares: (tokens * shares) / all })
    }
    main.advance(30)
    leave(ao(300))
    main.advance(mainEconomy.evidenceAgeBlocks + mainEconomy.bucketBlocks - 30) // that was before the fault
    leave(ao(500))
    main.advance(30)
    // The vector's stake at the fault is 4400: what was never there together with the rest does not count.
    const known = poolOf(state, 'SU', cheat)
    state.pools.set(`SU ${cheat}`, { ...known, peaks: [{ period: 0, value: ao(4400) }] })
    assert.equal(main.play(accuse(0)), undefined)
    const slashed = slashOf(main)
    assert.equal(String(slashed.slashed), slashSplit.vector.slashed)
    const late = [...state.buckets.entries()].map(([, { tokens }]) => String(tokens)).sort()
    const [pool, bucket] = slashSplit.vector.cut
    assert.equal(String(poolOf(state, 'SU', cheat).tokens), pool?.after)
    assert.deepEqual(late, [bucket?.after, String(ao(300))].sort())
    const { reporter, victimOrInsurance, burn } = slashSplit.vector.split
    assert.deepEqual([slashed.toReporter, slashed.toFund, slashed.burned].map(String), [
      reporter,
      victimOrInsurance,
      burn,
    ])
  })

  it('takes the same from each, whichever evidence comes first', () => {
    const orders = fc.shuffledSubarray([0, 1, 2], { minLength: 2 })
    fc.assert(
      fc.property(orders, fc.array(fc.nat(6), { minLength: 3, maxLength: 3 }), (order, gaps) => {
        const outcome = (who: readonly number[]): readonly bigint[] => {
          const economy = new Economy()
          for (const step of opening) economy.play(step)
          for (const [i, unit] of who.entries()) {
            economy.play(accuse(unit))
            economy.play(wait(gaps[i] ?? 0))
          }
          economy.play(wait(20))
          economy.play(wait(1))
          return operators.map(unit => poolOf(economy.state, 'SU', unit).tokens)
        }
        assert.deepEqual(outcome(order), outcome([...order].reverse()))
      }),
      propertyRuns(30),
    )
  })

  it('says when a stake begins to count: a quiet network has to send something then', () => {
    const economy = new Economy()
    for (const step of opening) economy.play(step)
    const { periodBlocks, activationPeriods } = testEconomy
    const from = (Math.floor(economy.at.height / periodBlocks) + activationPeriods) * periodBlocks
    assert.equal(economy.state.nextDue.value, from)
    assert.equal(standingOf(economy.state, 'SU', cheat), 'pending')
    economy.play(wait(from - economy.at.height))
    assert.equal(standingOf(economy.state, 'SU', cheat), 'active')
    assert.ok(economy.state.nextDue.value > from)
  })

  it('punishes one offence once: more evidence of the same class takes no more', () => {
    const economy = new Economy()
    for (const step of opening) economy.play(step)
    economy.play(accuse(0, 0))
    economy.play(wait(10))
    const once = poolOf(economy.state, 'SU', cheat).tokens
    assert.equal(once, 1500n, 'half of 3000')
    assert.equal(economy.play(accuse(0, 0)), 'DUPLICATE_EVIDENCE')
    assert.equal(economy.play(accuse(0, 1)), undefined)
    economy.play(wait(10))
    assert.equal(poolOf(economy.state, 'SU', cheat).tokens, once)
  })

  it('reaches stake that leaves after the fault, and pays nothing out while a slash waits', () => {
    const economy = new Economy()
    for (const step of opening) economy.play(step)
    const { state } = economy
    const { shares } = poolOf(state, 'SU', cheat)
    economy.advance(1)
    economy.apply({ type: 'unstake', role: 'SU', operator: cheat, holder: 'alice', shares })
    economy.advance(testEconomy.evidenceAgeBlocks - 5)
    economy.play(accuse(0))
    economy.advance(3) // released by now, but frozen
    const before = state.unbondings.get('alice')?.length
    economy.apply({ type: 'withdraw', account: 'alice' })
    assert.equal(state.unbondings.get('alice')?.length, before)
    economy.play(wait(10))
    assert.equal(slashedOf(economy, cheat), 1500n)
  })

  it('reaches what left in the very block of the fault, when evidence comes at the last moment', () => {
    const economy = new Economy()
    for (const step of opening) economy.play(step)
    const { shares } = poolOf(economy.state, 'SU', cheat)
    economy.advance(2) // within a bucket, not at its beginning
    economy.apply({ type: 'unstake', role: 'SU', operator: cheat, holder: 'alice', shares })
    economy.advance(testEconomy.evidenceAgeBlocks - testEconomy.commitMinBlocks)
    assert.equal(economy.play(accuse(0)), undefined)
    economy.play(wait(10))
    assert.equal(slashedOf(economy, cheat), 1500n)
  })

  it('lets nobody escape: whoever was bonded at a fault loses for it, however they leave before evidence comes', () => {
    fc.assert(
      fc.property(
        fc.array(anyStep(false), { maxLength: 40, size: 'max' }),
        fc.integer({ min: 1, max: 45 }),
        (all, delay) => {
          const economy = new Economy()
          for (const step of opening) economy.play(step)
          const { state } = economy
          const atFault = poolOf(state, 'SU', other).tokens
          const end = economy.at.height + delay
          for (const step of all) {
            if (economy.at.height + step.blocks > end) break
            economy.play(step)
          }
          economy.advance(end - economy.at.height)
          economy.play(accuse(1))
          economy.play(wait(10))
          assert.ok(slashedOf(economy, other) >= atFault / 2n, `${slashedOf(economy, other)} of ${atFault}`)
          assert.ok(state.holds.get(`SU ${other}`)?.tombstoned)
        },
      ),
      propertyRuns(60),
    )
  })

  it('never slashes or jails an operator that answers in time and signs no contradiction, whatever the others do', () => {
    fc.assert(
      fc.property(fc.array(anyStep(true), { maxLength: 80, size: 'max' }), all => {
        const economy = new Economy()
        for (const step of opening) economy.play(step)
        for (const step of all) {
          const { act } = step
          // Nobody can make evidence against one who signed none, nor answer for it but itself.
          if (act.type === 'accuse' && operators[act.who % 3] === third && act.kind !== 'none') continue
          if (step.blocks >= testEconomy.responseBlocks) answerAll(economy)
          economy.play(step)
          answerAll(economy)
        }
        for (const role of ['SU', 'CU', 'MU'] as const) {
          assert.equal(state(economy).operators.get(`${role} ${third}`)?.jailed ?? false, false)
          assert.equal(state(economy).holds.get(`${role} ${third}`)?.tombstoned ?? false, false)
        }
        assert.equal(slashedOf(economy, third), 0n)
      }),
      propertyRuns(60),
    )
  })

  it('loses as much for each token staked, whoever holds it: shares against one number for each holder', () => {
    const op = fc.oneof(
      fc.tuple(fc.constant('stake' as const), fc.nat(4), fc.bigInt({ min: 1000n, max: 10n ** 9n })),
      fc.tuple(fc.constant('slash' as const), fc.integer({ min: 1, max: 9000 }), fc.constant(0n)),
    )
    fc.assert(
      fc.property(fc.array(op, { maxLength: 30 }), ops => {
        const economy = new Economy()
        const { state: s } = economy
        const exact = new Map<number, readonly [bigint, bigint]>()
        for (const [kind, n, tokens] of ops) {
          if (kind === 'stake') stakeBoth(economy, exact, n, tokens)
          else slashBoth(economy, exact, BigInt(n))
        }
        const rounds = BigInt(ops.length + 1)
        for (const [who, [a, b]] of exact) {
          const found = stakeOf(s, 'SU', cheat, `h${who}`)
          const error = found > a / b ? found - a / b : a / b - found
          // A share is worth at most a thousandth of an armstrong here, and each step rounds once.
          assert.ok(error <= rounds * 1001n, `holder ${who}: ${found} instead of ${a / b}`)
        }
      }),
      propertyRuns(100),
    )
  })

  it('remembers the largest stake since a height, exactly to the period', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(7), fc.boolean(), fc.bigInt({ min: 1000n, max: 4000n })), { maxLength: 25 }),
        moves => {
          const economy = new Economy()
          const { state: s } = economy
          s.balances.set('rich', 10n ** 9n)
          const seen: { period: number; value: bigint }[] = []
          const note = (): void =>
            void seen.push({
              period: Math.floor(economy.at.height / testEconomy.periodBlocks),
              value: poolOf(s, 'SU', cheat).tokens,
            })
          for (const [blocks, more, tokens] of moves) {
            for (let i = 0; i < blocks; i++) {
              note()
              economy.advance(1)
            }
            note()
            const { shares } = poolOf(s, 'SU', cheat)
            const act = more
              ? ({ type: 'stake', role: 'SU', operator: cheat, holder: 'rich', tokens } as const)
              : ({ type: 'unstake', role: 'SU', operator: cheat, holder: 'rich', shares: shares / 2n + 1n } as const)
            economy.play({ blocks: 0, act })
            note()
          }
          economy.apply({ type: 'tick' })
          for (let back = 0; back <= testEconomy.evidenceAgeBlocks; back += 7) {
            const from = economy.at.height - back
            const period = Math.floor(from / testEconomy.periodBlocks)
            const most = seen.filter(entry => entry.period >= period).reduce((max, { value }) => maxOf(value, max), 0n)
            assert.equal(peakSince(s, 'SU', cheat, from), most, `${back} blocks back`)
          }
        },
      ),
      propertyRuns(60),
    )
  })
})

const state = (economy: Economy): Economy['state'] => economy.state

function slashOf(economy: Economy) {
  economy.advance(mainEconomy.slashDelayBlocks + 1)
  const happened = economy.apply({ type: 'tick' }).find(one => one.type === 'slashed')
  return happened?.type === 'slashed' ? happened.split : assert.fail('nobody was slashed')
}

const slashedOf = ({ state: s }: Economy, unit: Address): bigint =>
  [...s.offences.entries()].reduce((sum, [, row]) => (row.operator === unit ? sum + row.slashed : sum), 0n)

/** What an honest unit does: it answers before its time is over. */
function answerAll(economy: Economy): void {
  const asked = (): readonly string[] =>
    economy.state.challenges.keysInOrder().filter(id => economy.state.challenges.get(id)?.accused === third)
  // What it passes on as an MU may come back to it as the SU.
  for (let round = 0; round < 2; round++) for (const id of asked()) answer(economy, id)
}

/** An MU that delivered shows that; one that could not shows the message. */
function answer(economy: Economy, id: string): void {
  const row = economy.state.challenges.get(id)
  const passesOn = row?.kind === 'F8' && row.dueAt % 2 === 0
  if (row !== undefined) economy.play({ blocks: 0, act: answerOf(id, passesOn) })
}

type Fraction = readonly [bigint, bigint]

/** In shares, and as an exact fraction. */
function stakeBoth(economy: Economy, exact: Map<number, Fraction>, who: number, tokens: bigint): void {
  economy.state.balances.set(`h${who}`, 10n ** 12n)
  const act = { type: 'stake', role: 'SU', operator: cheat, holder: `h${who}`, tokens } as const
  if (economy.play({ blocks: 0, act }) !== undefined) return
  const [a, b] = exact.get(who) ?? [0n, 1n]
  exact.set(who, [a + tokens * b, b])
}

function slashBoth({ state: s }: Economy, exact: Map<number, Fraction>, bps: bigint): void {
  const pool = poolOf(s, 'SU', cheat)
  const left = pool.tokens - (pool.tokens * bps) / 10_000n
  if (left < 1000n) return
  s.pools.set(`SU ${cheat}`, { ...pool, tokens: left })
  for (const [who, [a, b]] of exact) exact.set(who, [a * left, b * pool.tokens])
}

import assert from 'node:assert/strict'
import fc from 'fast-check'
import { audit } from '../../../src/economy/audit.ts'
import { drip, holderKey, settle, setWeight, shareScale } from '../../../src/economy/distribution.ts'
import { genesis } from '../../../src/economy/genesis.ts'
import { setGrant, setHolding } from '../../../src/economy/holdings.ts'
import { balanceOf, claim } from '../../../src/economy/ledger.ts'
import type { EconomyState } from '../../../src/economy/state.ts'
import { mainEconomy } from '../../../src/protocol/economy-params.ts'
import { propertyRuns } from '../../support/economy.ts'
import { loadVectors } from '../../support/vectors.ts'

type Op = readonly [string, ...string[]]
interface Vectors {
  readonly lazyDistribution: {
    readonly ops: readonly Op[]
    readonly final: {
      readonly acc: string
      readonly rem: string
      readonly total: string
      readonly accounts: Readonly<Record<string, Readonly<Record<'quantity' | 'balance' | 'frac' | 'last', string>>>>
    }
  }
}

/** Only the sharing out: what is minted here comes from the test and not from the emission. */
const run = (state: EconomyState, [op, a = '', b = '', c = '']: Op): void => {
  if (op === 'drip') drip(state, 'ar', BigInt(a))
  if (op === 'set') setHolding(state, 'AR', a, BigInt(b))
  if (op === 'settle') settle(state, 'AR', a)
  if (op === 'delegate') {
    const given = state.grants.get(holderKey('AR', a))?.find(({ to }) => to === b)?.quantity ?? 0n
    setGrant(state, { resource: 'AR', from: a, to: b }, given + BigInt(c))
  }
}

describe('economy/distribution', () => {
  it('shares out as the worked example does, to the last part of an armstrong', () => {
    const { ops, final } = (loadVectors('economy/emission.json') as Vectors).lazyDistribution
    const state = genesis(mainEconomy)
    for (const op of ops) run(state, op)
    const { acc, rem, total } = state.classes.get('ar') ?? assert.fail('no class')
    assert.deepEqual([acc, rem, total].map(String), [final.acc, final.rem, final.total])
    for (const [account, expected] of Object.entries(final.accounts)) {
      const { quantity, frac, last } = settle(state, 'AR', account)
      const found = { quantity, balance: state.balances.get(account) ?? 0n, frac, last }
      assert.deepEqual(
        Object.fromEntries(Object.entries(found).map(([k, v]) => [k, String(v)])),
        { ...expected },
        account,
      )
    }
  })

  const account = fc.constantFrom('a', 'b', 'c', 'd', 'e')
  const resource = fc.constantFrom('AR', 'X')
  const anyOp = fc.oneof(
    fc.tuple(fc.constant('drip' as const), fc.bigInt({ min: 0n, max: 10n ** 15n })),
    fc.tuple(fc.constant('set' as const), resource, account, fc.bigInt({ min: 0n, max: 10n ** 20n })),
    fc.tuple(fc.constant('weight' as const), fc.bigInt({ min: 0n, max: 1000n })),
    fc.tuple(fc.constant('claim' as const), account),
  )
  type AnyOp = typeof anyOp extends fc.Arbitrary<infer T> ? T : never

  it('gives each holder within 1.01 armstrongs what exact fractions give, and all of it to somebody', () => {
    const ops = fc.array(anyOp, { maxLength: 60 })
    fc.assert(
      fc.property(ops, all => {
        const [state, model] = [lazy(), new ExactModel()]
        for (const op of all) {
          apply(state, op)
          model.apply(op)
        }
        let sum = model.waiting
        for (const holder of ['a', 'b', 'c', 'd', 'e']) {
          const [owed, denominator] = model.owed(holder)
          const error = balanceOf(state, holder) * denominator - owed
          const size = error < 0n ? -error : error
          // Two resources: each may keep back a fraction of its own.
          assert.ok(size * 100n < 201n * denominator, `${holder} is off by ${size}/${denominator}`)
          sum += balanceOf(state, holder)
        }
        assert.ok(model.dripped - sum >= 0n && model.dripped - sum < 12n, `${model.dripped - sum} lost`)
      }),
      propertyRuns(150),
    )
  })

  it('gives each holder the same, however often anybody settles in between', () => {
    fc.assert(
      fc.property(
        fc.array(anyOp, { maxLength: 40 }),
        fc.array(fc.tuple(fc.nat(39), account), { maxLength: 20 }),
        (ops, claims) => {
          const [quiet, busy] = [lazy(), lazy()]
          for (const [i, op] of ops.entries()) {
            apply(quiet, op)
            apply(busy, op)
            for (const [at, who] of claims) if (at === i) claim(busy, who)
          }
          for (const holder of ['a', 'b', 'c', 'd', 'e']) {
            assert.equal(balanceOf(busy, holder), balanceOf(quiet, holder), holder)
            for (const of of ['AR', 'X']) assert.equal(settle(busy, of, holder).frac, settle(quiet, of, holder).frac)
          }
        },
      ),
      propertyRuns(100),
    )
  })

  it('loses no part of an armstrong: parts, fractions and remainders add up exactly', () => {
    fc.assert(
      fc.property(fc.array(anyOp, { maxLength: 80 }), ops => {
        const state = lazy()
        let dripped = 0n
        for (const op of ops) {
          apply(state, op)
          if (op[0] === 'drip') dripped += op[1]
          assert.equal(-audit(state).missing, dripped * shareScale, op[0]) // nothing was minted: the drips came from outside
        }
      }),
      propertyRuns(150),
    )
  })

  function lazy(): EconomyState {
    const x = { resource: 'X', class: 'ar', weight: '3', holder: 'e', quantity: '0' } as const
    return genesis({ ...mainEconomy, holdings: [x] })
  }

  function apply(state: EconomyState, op: AnyOp): void {
    if (op[0] === 'drip') drip(state, 'ar', op[1])
    if (op[0] === 'set') setHolding(state, op[1], op[2], op[3])
    if (op[0] === 'weight') setWeight(state, 'X', op[1])
    if (op[0] === 'claim') claim(state, op[1])
  }

  /** Every drip divides among all holders, in exact fractions: what the lazy way must not differ from. */
  class ExactModel {
    readonly #quantities = new Map<string, bigint>()
    readonly #owed = new Map<string, [bigint, bigint]>()
    #weight = 3n
    waiting = 0n
    dripped = 0n

    apply(op: AnyOp): void {
      if (op[0] === 'set') this.#quantities.set(`${op[1]} ${op[2]}`, op[3])
      if (op[0] === 'weight') this.#weight = op[1]
      if (op[0] !== 'drip') return
      this.dripped += op[1]
      const shares = [...this.#quantities].map(
        ([key, q]) => [key.slice(-1), key.startsWith('X') ? q * this.#weight : q] as const,
      )
      const total = shares.reduce((sum, [, share]) => sum + share, 0n)
      this.waiting += op[1]
      if (total === 0n) return
      for (const [holder, share] of shares) {
        const [n, d] = this.owed(holder)
        this.#owed.set(holder, reduced(n * total + this.waiting * share * d, d * total))
      }
      this.waiting = 0n
    }

    owed(holder: string): [bigint, bigint] {
      return this.#owed.get(holder) ?? [0n, 1n]
    }
  }

  function reduced(n: bigint, d: bigint): [bigint, bigint] {
    let [a, b] = [n, d]
    while (b > 0n) [a, b] = [b, a % b]
    return [n / a, d / a]
  }
})

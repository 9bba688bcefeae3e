import assert from 'node:assert/strict'
import { emissionStart, mintCycles, mintedSoFar, mintRuns, supplyCap } from '../../../src/economy/emission.ts'
import { type EmissionParams, mainEconomy } from '../../../src/protocol/economy-params.ts'
import { loadVectors } from '../../support/vectors.ts'

interface Point {
  readonly n: number
  readonly minted: string
  readonly cumulative: string
  readonly carry: string
  readonly ar: string
  readonly bridge: string
  readonly thirdsCarry: string
}
interface Vectors {
  readonly profiles: Readonly<
    Record<EmissionParams['profile'], { readonly rateNumerator: string; readonly points: readonly Point[] }>
  >
}
const { profiles } = loadVectors('economy/emission.json') as Vectors
const slow = process.env['AONET_SLOW_TESTS'] === '1'
/** Four years in `npm test`, up to the year 2100 in the slow suite. */
const lastPoint = slow ? Number.MAX_SAFE_INTEGER : 420_768

describe('economy/emission', () => {
  for (const profile of ['halving-4y', 'ao-1425'] as const) {
    it(`mints and splits exactly as the vectors say (${profile})`, function () {
      this.timeout(120_000)
      const params = { ...mainEconomy.emission, profile }
      let row = emissionStart
      let [ar, bridge] = [0n, 0n]
      for (const point of profiles[profile].points.filter(({ n }) => n <= lastPoint)) {
        for (const toCycle of [Math.max(row.cycle, point.n - 1), point.n]) {
          const before = mintedSoFar(row)
          for (const run of mintRuns(row, params, toCycle)) {
            row = run.row
            ar += run.ar
            bridge += run.bridge
          }
          if (toCycle === point.n && point.n > 0)
            assert.equal(mintedSoFar(row) - before, BigInt(point.minted), `cycle ${point.n}`)
        }
        assert.equal(mintedSoFar(row), BigInt(point.cumulative), `sum at ${point.n}`)
        assert.equal(row.carry, BigInt(point.carry), `carry at ${point.n}`)
        assert.deepEqual([ar, bridge], [BigInt(point.ar), BigInt(point.bridge)], `classes at ${point.n}`)
        assert.equal(row.splitCarry, BigInt(point.thirdsCarry), `third at ${point.n}`)
      }
    })
  }

  it('mints the same whoever calls how often', () => {
    const one = mintCycles(emissionStart, 'halving-4y', 5000)
    let many = emissionStart
    for (const cycles of [1, 0, 7, 992, 4000]) many = mintCycles(many, 'halving-4y', cycles)
    assert.deepEqual(many, one)
  })

  it('is within one armstrong of the real curve, at every one of the first cycles', () => {
    const rate = BigInt(profiles['halving-4y'].rateNumerator)
    const scale = 10n ** 30n
    // C(1 - N/D)^n as an exact fraction over D^n.
    let [numerator, denominator] = [supplyCap, 1n]
    let row = emissionStart
    for (let n = 1; n <= 300; n++) {
      numerator *= scale - rate
      denominator *= scale
      row = mintCycles(row, 'halving-4y', 1)
      const error = row.remaining * denominator - numerator
      assert.ok(error >= 0n && error < denominator, `cycle ${n}`)
    }
  })

  it('never mints more than 21 million AO, and in the end all of them', () => {
    const last = mintCycles({ ...emissionStart, remaining: 1000n, cycle: 27_000_000 }, 'halving-4y', 10)
    assert.equal(last.remaining >= 0n, true)
    let row = { ...emissionStart, remaining: 3n, carry: 10n ** 30n - 1n }
    row = mintCycles(row, 'halving-4y', 1)
    assert.equal(row.remaining, 2n, 'what was kept back comes out')
  })
})

import assert from 'node:assert/strict'
import type { WorkerVmPool } from '../../../src/vm/pool.ts'
import { continuous, restored } from '../../support/determinism/digest.ts'
import { digestsOf, goldenDigests } from '../../support/determinism/golden.ts'
import { scenarios } from '../../support/determinism/scenarios.ts'
import { Pools } from '../../support/modules/pools.ts'

/**
 * A red test here means that nodes of two versions would disagree: then it is a new meter or a new Module-Format. If
 * that is meant, write the vector anew as `golden.ts` says. `npm run test:nodes` compares Node 20, 22 and 24.
 */
describe('results, gas and state', function () {
  this.timeout(180_000)
  const golden = goldenDigests()
  const pools = new Pools()
  let both: readonly WorkerVmPool[]
  before(async () => {
    both = [await pools.start(), await pools.start()]
  })
  after(() => pools.stop())

  for (const scenario of scenarios) {
    it(`of ${scenario.name} are the recorded ones, in one go and restored from snapshots again and again`, async () => {
      const [first] = both as [WorkerVmPool, WorkerVmPool]
      assert.deepEqual(await continuous(scenario, first), golden[scenario.name])
      // The second worker is cold, the first by now as hot as it gets.
      assert.deepEqual(await restored(scenario, both, 4), golden[scenario.name])
    })
  }

  for (const flag of ['--liftoff-only', '--no-liftoff']) {
    it(`are the recorded ones with ${flag}, whichever compiler the engine chooses`, async () => {
      assert.deepEqual(await digestsOf(process.execPath, [flag]), golden)
    })
  }
})

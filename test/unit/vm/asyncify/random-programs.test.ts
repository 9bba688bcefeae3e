import assert from 'node:assert/strict'
import fc from 'fast-check'
import { stripAsyncify } from '../../../../src/vm/asyncify/strip.ts'
import { isValid } from '../../../../src/vm/meter/meter.ts'
import { type Call, fromText } from '../meter/support.ts'
import { asyncified, type Binaryen, loadBinaryen } from './binaryen.ts'
import { programs } from './random-code.ts'

/** 5,000 in `npm run test:slow`. */
const numRuns = process.env['AONET_SLOW_TESTS'] === '1' ? 5_000 : 200
const args = [0, 1, 2, -1, 6]

/** All that can be seen of a module while it runs: answers, traps by their words, host calls, memory, globals. */
function observe(module: Uint8Array): { readonly seen: readonly unknown[]; readonly memory: Buffer } {
  const seen: unknown[] = []
  const sleep = (ms: number): number => {
    seen.push(['sleep', ms])
    return ms % 3
  }
  const compiled = new WebAssembly.Module(module as Uint8Array<ArrayBuffer>)
  const { exports } = new WebAssembly.Instance(compiled, { env: { sleep } })
  const { memory, count, fuel } = exports as Record<string, unknown> as {
    readonly memory: WebAssembly.Memory
    readonly count: WebAssembly.Global
    readonly fuel: WebAssembly.Global
  }
  for (const arg of args) {
    fuel.value = 60
    try {
      seen.push((exports['f'] as Call)(arg))
    } catch (trap) {
      assert.ok(trap instanceof WebAssembly.RuntimeError)
      seen.push(trap.message)
    }
    seen.push(count.value, fuel.value)
  }
  return { seen, memory: Buffer.from(memory.buffer) }
}

describe('vm/asyncify: programs made at random', () => {
  let binaryen: Binaryen
  before(async () => {
    binaryen = await loadBinaryen()
  })

  it('do the same without what asyncify added as with it while nothing is put aside', function () {
    this.timeout(numRuns * 1000)
    let [answers, traps, shorter] = [0, 0, 0]
    const compare = (module: Uint8Array): void => {
      const stripped = stripAsyncify(module)
      assert.ok(isValid(stripped), 'what is left is no valid module')
      const [before, after] = [observe(module), observe(stripped)]
      assert.deepEqual(after.seen, before.seen)
      assert.ok(after.memory.equals(before.memory), 'the memories differ')
      for (const entry of before.seen) typeof entry === 'string' ? traps++ : answers++
      if (stripped.length < module.length) shorter++
    }
    fc.assert(
      fc.property(programs, ({ byHand, plain }) => {
        compare(fromText(byHand))
        for (const module of asyncified(binaryen, fromText(plain))) compare(module)
      }),
      { numRuns, seed: 20_241_124, endOnFailure: true },
    )
    assert.ok(shorter > numRuns * 2, `only ${shorter} modules became shorter`)
    assert.ok(traps > numRuns && answers > 10 * numRuns, `${traps} traps, ${answers} answers`)
  })
})

import assert from 'node:assert/strict'
import { AoError } from '../../../../src/lib/errors.ts'
import { meterModule } from '../../../../src/vm/meter/meter.ts'
import { ModuleRewriter } from '../../../../src/vm/meter/module-rewriter.ts'
import { gas1Prices, legacyPrices } from '../../../../src/vm/meter/prices.ts'
import { mutateBytes } from '../../../support/mutation.ts'
import { SeededRandom } from '../../../support/random.ts'
import { fromText } from './support.ts'

/** `npm run test:slow` sets this. */
const rounds = process.env['AONET_SLOW_TESTS'] === '1' ? 10_000 : 300

const texts = [
  `(module (memory (export "memory") 1) (data $d "abc") (global (mut i32) (i32.const 1)) (table funcref (elem $f))
    (func $f (export "f") (param i32) (result i32) (local i64 f64)
      (block $b (loop $l (br_if $b (i32.eqz (local.get 0)))
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (local.set 2 (f64.add (f64.sqrt (local.get 2)) (f64.const 2)))
        (memory.fill (i32.const 0) (i32.const 1) (i32.const 100)) (br $l)))
      (br_table 0 0 0 (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 0)))
      (i32.load offset=4 (local.get 0))))`,
  `(module (import "h" "f" (func (param f32) (result f32))) (import "h" "g" (global i32)) (tag $t (param i32))
    (func (export "g") (result i32) (try (result i32) (do (throw $t (i32.const 3))) (catch $t) (catch_all (i32.const 9))))
    (func (result i32 i64) (i32.const 1) (i64.const 2)) (start $s)
    (func $s (drop (f32.div (call 0 (f32.const 1)) (f32.const 0)))) (elem declare func $s)
    (func (result funcref) (select (result funcref) (ref.func $s) (ref.null func) (i32.const 1))))`,
  `(module (memory i64 1 4) (func (export "v") (param v128) (result v128)
      (f32x4.add (v128.load (i64.const 0)) (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (local.get 0) (local.get 0))))
    (func (drop (memory.grow (i64.const 1))) (return_call 2)) (func) (data (i64.const 3) "xyz") (table 3 9 externref))`,
]

const settles = (work: () => Uint8Array): Uint8Array | undefined => {
  try {
    return work()
  } catch (error) {
    assert.ok(error instanceof AoError && error.code === 'UNSUPPORTED_MODULE', `unnamed failure: ${error}`)
    return undefined
  }
}

describe('vm/meter: hostile modules', () => {
  it(`give a refusal or a valid module, ${rounds} times`, () => {
    const seeds = texts.map(fromText)
    let metered = 0
    for (let seed = 0; seed < rounds; seed++) {
      const random = new SeededRandom(seed)
      const bytes = mutateBytes(random.pick(seeds), random)
      const prices = random.below(2) === 0 ? gas1Prices : legacyPrices
      const output = settles(() => meterModule(bytes, { prices, strict: random.below(2) === 0 }).bytes)
      if (output === undefined) continue
      metered++
      assert.ok(WebAssembly.validate(output as Uint8Array<ArrayBuffer>), `seed ${seed} gave an invalid module`)
    }
    assert.ok(metered > rounds / 50, `only ${metered} of them were metered: the test would show nothing`)
  })

  it(`end the rewriter in order even if nobody had validated them, ${rounds} times`, () => {
    const options = { prices: gas1Prices, maxDepthWords: 1000, strict: false, maxInitialPages: 100, startGas: 0 }
    const seeds = texts.map(fromText)
    for (let seed = 0; seed < rounds; seed++) {
      const random = new SeededRandom(seed + 1_000_000)
      const bytes = mutateBytes(random.pick(seeds), random)
      const output = settles(() => new ModuleRewriter(bytes, options).rewrite().bytes)
      // Work is bounded by the length of the input, so its output is too.
      assert.ok(output === undefined || output.length < 200 + bytes.length * 60)
    }
  })

  it('with counts far beyond their bytes ask for no memory', () => {
    const header = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]
    const huge = [0xff, 0xff, 0xff, 0xff, 0x0f]
    const options = { prices: gas1Prices, maxDepthWords: 1000, strict: false, maxInitialPages: 100, startGas: 0 }
    const before = process.memoryUsage().arrayBuffers
    for (let id = 0; id <= 13; id++) {
      const bytes = Uint8Array.from([...header, id, huge.length, ...huge])
      settles(() => new ModuleRewriter(bytes, options).rewrite().bytes)
      settles(() => new ModuleRewriter(Uint8Array.from([...header, id, ...huge]), options).rewrite().bytes)
    }
    assert.ok(process.memoryUsage().arrayBuffers - before < 50_000_000)
  })
})

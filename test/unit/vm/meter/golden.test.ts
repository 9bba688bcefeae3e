import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { meterModule } from '../../../../src/vm/meter/meter.ts'
import { gas1Prices, legacyPrices } from '../../../../src/vm/meter/prices.ts'
import { fromText } from './support.ts'

// Modules as bytes, not text: another compiler must not be able to change what is compared.
const modules = { floats: '', memory: '', calls: '' }
const texts = {
  floats: `(module (func (export "f") (param f32 f64) (result f64) (f32.store (i32.const 0) (f32.sqrt (local.get 0)))
    (f64.div (f64.mul (local.get 1) (f64.promote_f32 (local.get 0))) (f64.const 3))) (memory 1))`,
  memory: `(module (memory (export "memory") 1 20) (global (mut i32) (i32.const 1024)) (data $d "passive")
    (func (export "f") (param i32) (result i32)
      (memory.fill (i32.const 0) (i32.const 1) (local.get 0))
      (memory.copy (i32.const 9) (i32.const 0) (local.get 0))
      (memory.init $d (i32.const 0) (i32.const 0) (i32.const 7))
      (global.set 0 (i32.add (global.get 0) (local.get 0))) (memory.grow (i32.const 1))))`,
  calls: `(module (import "h" "f" (func $host (param i32) (result i32))) (tag $t) (table funcref (elem $a))
    (func $a (param i32) (result i32) (local i64 v128)
      (block $b (loop $l (br_if $b (i32.eqz (local.get 0))) (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br $l)))
      (try (do (throw $t)) (catch $t) (catch_all))
      (local.set 2 (f64x2.add (local.get 2) (local.get 2)))
      (call_indirect (param i32) (result i32) (call $host (local.get 0)) (i32.const 0)))
    (func (export "f") (param i32) (result i32) (return_call $a (local.get 0))))`,
}
describe('x', () => { it('y', () => {
  for (const [k, t] of Object.entries(texts)) {
    const b = fromText(t)
    console.log(`  ${k}: {\n    plain: '${Buffer.from(b).toString('base64')}',\n    legacy: '${createHash('sha256').update(meterModule(b, { prices: legacyPrices }).bytes).digest('hex')}',\n    gas1: '${createHash('sha256').update(meterModule(b, { prices: gas1Prices }).bytes).digest('hex')}',\n  },`)
  }
  assert.ok(modules)
}) })

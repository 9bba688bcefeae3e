import assert from 'node:assert/strict'
import { metered } from './support.ts'

const canonical32 = 0x7fc00000
const canonical64 = 0x7ff8000000000000n
// NaNs with a sign and a payload: what a machine would hand on.
const odd32 = '(f32.reinterpret_i32 (i32.const 0xffd12345))'
const odd64 = '(f64.reinterpret_i64 (i64.const 0xfffd123456789abc))'

const bits32 = (expression: string) => {
  const { value } = metered(`(module (func (export "f") (result i32) (i32.reinterpret_f32 ${expression})))`).call('f')
  return (value as number) >>> 0
}
const bits64 = (expression: string) => {
  const { value } = metered(`(module (func (export "f") (result i64) (i64.reinterpret_f64 ${expression})))`).call('f')
  return BigInt.asUintN(64, value as bigint)
}

describe('vm/meter: NaN', () => {
  it('has the same bits whichever scalar operation made it', () => {
    for (const name of ['add', 'sub', 'mul', 'div', 'min', 'max']) {
      assert.equal(bits32(`(f32.${name} ${odd32} (f32.const 1))`), canonical32, `f32.${name}`)
      assert.equal(bits32(`(f32.${name} (f32.const 1) ${odd32})`), canonical32, `f32.${name}`)
      assert.equal(bits64(`(f64.${name} ${odd64} (f64.const 1))`), canonical64, `f64.${name}`)
      assert.equal(bits64(`(f64.${name} (f64.const 1) ${odd64})`), canonical64, `f64.${name}`)
    }
    for (const name of ['ceil', 'floor', 'trunc', 'nearest', 'sqrt']) {
      assert.equal(bits32(`(f32.${name} ${odd32})`), canonical32, `f32.${name}`)
      assert.equal(bits64(`(f64.${name} ${odd64})`), canonical64, `f64.${name}`)
    }
    assert.equal(bits32(`(f32.demote_f64 ${odd64})`), canonical32)
    assert.equal(bits64(`(f64.promote_f32 ${odd32})`), canonical64)
  })

  it('has these bits where the operands were numbers', () => {
    assert.equal(bits64('(f64.div (f64.const 0) (f64.const 0))'), canonical64)
    assert.equal(bits64('(f64.sub (f64.const inf) (f64.const inf))'), canonical64)
    assert.equal(bits64('(f64.mul (f64.const 0) (f64.const inf))'), canonical64)
    assert.equal(bits64('(f64.sqrt (f64.const -1))'), canonical64)
    assert.equal(bits32('(f32.div (f32.const 0) (f32.const 0))'), canonical32)
    assert.equal(bits32('(f32.sqrt (f32.const -1))'), canonical32)
  })

  it('keeps its bits where the standard says so', () => {
    assert.equal(bits32(odd32), 0xffd12345)
    assert.equal(bits32(`(f32.abs ${odd32})`), 0x7fd12345)
    assert.equal(bits64(`(f64.neg ${odd64})`), 0x7ffd123456789abcn)
    assert.equal(bits64('(f64.neg (f64.div (f64.const 0) (f64.const 0)))'), 0xfff8000000000000n)
    assert.equal(bits32('(f32.neg (f32.sqrt (f32.const -1)))'), 0xffc00000)
    assert.equal(bits64(`(f64.copysign (f64.div (f64.const 0) (f64.const 0)) (f64.const -1))`), 0xfff8000000000000n)
  })

  it('has these bits at the end of a chain of operations, stored, returned, passed on or put in a local', () => {
    const chain = '(f64.ceil (f64.add (f64.mul (f64.div (f64.const 0) (f64.const 0)) (f64.const 3)) (f64.const 1)))'
    assert.equal(bits64(chain), canonical64)
    const instance = metered(`(module (memory (export "memory") 1) (global $g (mut f64) (f64.const 0))
      (func $pass (param f64) (result f64) local.get 0)
      (func (export "f") (local f64)
        (f64.store (i32.const 0) ${chain})
        (f64.store (i32.const 8) (call $pass ${chain}))
        (local.set 0 (f64.sqrt (f64.const -1))) (f64.store (i32.const 16) (local.get 0))
        (global.set $g ${chain}) (f64.store (i32.const 24) (global.get $g))
        (f64.store (i32.const 32) (block (result f64) ${chain}))
        (f64.store (i32.const 40) (select ${chain} (f64.const 1) (i32.const 1)))
        (f64.store (i32.const 48) (local.tee 0 ${chain}))))`)
    instance.call('f')
    const view = new DataView((instance.exports['memory'] as WebAssembly.Memory).buffer)
    for (let at = 0; at < 56; at += 8) assert.equal(view.getBigUint64(at, true), canonical64, `at ${at}`)
  })

  it('has these bits when it comes from the host or goes into a global, which is saved as a number', () => {
    const odd = () => new Float64Array(new BigUint64Array([0xfffd123456789abcn]).buffer)[0]
    const instance = metered(
      `(module (import "h" "f" (func $f (result f64))) (import "h" "f" (func $g (result f32)))
        (global $d (mut f64) (f64.const 0)) (global $s (mut f32) (f32.const 0))
        (func (export "host64") (result i64) (i64.reinterpret_f64 (call $f)))
        (func (export "host32") (result i32) (i32.reinterpret_f32 (call $g)))
        (func (export "global64") (result i64) (global.set $d ${odd64}) (i64.reinterpret_f64 (global.get $d)))
        (func (export "global32") (result i32) (global.set $s ${odd32}) (i32.reinterpret_f32 (global.get $s))))`,
      { imports: { h: { f: odd } } },
    )
    for (const name of ['host64', 'global64']) assert.equal(instance.call(name).value, canonical64, name)
    for (const name of ['host32', 'global32']) assert.equal(instance.call(name).value, canonical32, name)
  })

  it('leaves numbers alone, the zeros, infinities and smallest of them too', () => {
    for (const [text, bits] of [
      ['-0', 0x8000000000000000n],
      ['inf', 0x7ff0000000000000n],
      ['-inf', 0xfff0000000000000n],
      ['0x1p-1074', 1n],
    ] as const) {
      assert.equal(bits64(`(f64.mul (f64.const ${text}) (f64.const 1))`), bits, text)
    }
  })

  it('has the same bits in every lane that a vector operation made, and numbers beside it stay', () => {
    const lanes = (expression: string) => {
      const instance = metered(`(module (memory (export "memory") 1)
        (func (export "f") (v128.store (i32.const 0) ${expression})))`)
      instance.call('f')
      return new DataView((instance.exports['memory'] as WebAssembly.Memory).buffer)
    }
    const v32 = '(v128.const i32x4 0xffd12345 0x3f800000 0x7f800001 0x40000000)'
    const v64 = '(v128.const i64x2 0xfffd123456789abc 0x3ff0000000000000)'
    for (const name of ['add', 'sub', 'mul', 'div', 'min', 'max']) {
      const single = lanes(`(f32x4.${name} ${v32} ${v32})`)
      assert.equal(single.getUint32(0, true), canonical32, `f32x4.${name}`)
      assert.equal(single.getUint32(8, true), canonical32, `f32x4.${name}`)
      assert.ok(!Number.isNaN(single.getFloat32(4, true)))
      const double = lanes(`(f64x2.${name} ${v64} ${v64})`)
      assert.equal(double.getBigUint64(0, true), canonical64, `f64x2.${name}`)
      assert.ok(!Number.isNaN(double.getFloat64(8, true)))
    }
    for (const name of ['ceil', 'floor', 'trunc', 'nearest', 'sqrt']) {
      const single = lanes(`(f32x4.${name} ${v32})`)
      assert.equal(single.getUint32(0, true), canonical32, `f32x4.${name}`)
      assert.equal(single.getFloat32(4, true), 1)
      const double = lanes(`(f64x2.${name} ${v64})`)
      assert.equal(double.getBigUint64(0, true), canonical64, `f64x2.${name}`)
      assert.equal(double.getFloat64(8, true), 1)
    }
    assert.equal(lanes(`(f32x4.demote_f64x2_zero ${v64})`).getUint32(0, true), canonical32)
    assert.equal(lanes(`(f64x2.promote_low_f32x4 ${v32})`).getBigUint64(0, true), canonical64)
  })
})

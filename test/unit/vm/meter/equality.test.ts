import assert from 'node:assert/strict'
import { assertEqual, metered } from './support.ts'

const binary = (type: string, operators: readonly string[], result = type) =>
  operators
    .map(
      name => `(func (export "${name}") (param ${type} ${type}) (result ${result})
        (${name} (local.get 0) (local.get 1)))`,
    )
    .join('\n')
const unary = (from: string, operators: readonly string[], result = from) =>
  operators
    .map(name => `(func (export "${name}") (param ${from}) (result ${result}) (${name} (local.get 0)))`)
    .join('\n')
const prefixed = (type: string, names: string) => names.split(' ').map(name => `${type}.${name}`)

const integerBinary = 'add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr'
const integerCompare = 'eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u'
const floatBinary = 'add sub mul div min max copysign'
const floatUnary = 'abs neg ceil floor trunc nearest sqrt'
const floatCompare = 'eq ne lt gt le ge'
const pairs = (values: readonly unknown[]) => values.flatMap(a => values.map(b => [a, b]))

describe('vm/meter: a metered module gives what the plain one gives', () => {
  it('for every integer operator', () => {
    for (const [type, values] of [
      ['i32', [0, 1, -1, 7, -2147483648, 2147483647]],
      ['i64', [0n, 1n, -1n, 7n, -(2n ** 63n), 2n ** 63n - 1n]],
    ] as const) {
      const text = `(module ${binary(type, prefixed(type, integerBinary))}
        ${binary(type, prefixed(type, integerCompare), 'i32')})`
      assertEqual(text, pairs(values))
      const signs = type === 'i32' ? 'extend8_s extend16_s' : 'extend8_s extend16_s extend32_s'
      assertEqual(
        `(module ${unary(type, prefixed(type, `clz ctz popcnt ${signs}`))} ${unary(type, [`${type}.eqz`], 'i32')})`,
        values.map(value => [value]),
      )
    }
  })

  it('for every float operator, up to the bits of a NaN', () => {
    const values = [0, -0, 1.5, -2.5, 1e30, Number.POSITIVE_INFINITY, Number.NaN]
    for (const type of ['f32', 'f64']) {
      assertEqual(
        `(module ${binary(type, prefixed(type, floatBinary))} ${binary(type, prefixed(type, floatCompare), 'i32')})`,
        pairs(values),
      )
      assertEqual(
        `(module ${unary(type, prefixed(type, floatUnary))})`,
        values.map(value => [value]),
      )
    }
  })

  it('for every conversion', () => {
    const floats = [0, -1.5, 3e9, -3e9, 1e30, Number.NaN].map(value => [value])
    for (const from of ['f32', 'f64']) {
      const names = ['s', 'u'].flatMap(sign => [`trunc_${from}_${sign}`, `trunc_sat_${from}_${sign}`])
      for (const to of ['i32', 'i64']) assertEqual(`(module ${unary(from, prefixed(to, names.join(' ')), to)})`, floats)
    }
    assertEqual(
      `(module ${unary('f32', ['f64.promote_f32'], 'f64')} ${unary('f64', ['f32.demote_f64'], 'f32')})`,
      floats,
    )
    for (const [from, value] of [
      ['i32', -5],
      ['i64', 2n ** 53n + 1n],
    ] as const) {
      for (const to of ['f32', 'f64']) {
        assertEqual(`(module ${unary(from, [`${to}.convert_${from}_s`, `${to}.convert_${from}_u`], to)})`, [[value]])
      }
    }
    assertEqual(`(module ${unary('i64', ['i32.wrap_i64'], 'i32')} ${unary('i64', ['f64.reinterpret_i64'], 'f64')})`, [
      [5n],
      [-(2n ** 40n)],
    ])
    assertEqual(
      `(module ${unary('i32', ['i64.extend_i32_s', 'i64.extend_i32_u'], 'i64')} ${unary('f32', ['i32.reinterpret_f32'], 'i32')}
        ${unary('f64', ['i64.reinterpret_f64'], 'i64')} ${unary('i32', ['f32.reinterpret_i32'], 'f32')})`,
      [[-5], [1]],
    )
  })

  it('for nested loops, br_table and early returns', () => {
    assertEqual(
      `(module
        (func (export "nested") (param i32) (result i32) (local i32 i32 i32)
          (block $out (loop $a
            (br_if $out (i32.ge_s (local.get 1) (local.get 0)))
            (local.set 2 (i32.const 0))
            (block $inner (loop $b
              (br_if $inner (i32.ge_s (local.get 2) (local.get 1)))
              (local.set 3 (i32.add (local.get 3) (i32.mul (local.get 1) (local.get 2))))
              (local.set 2 (i32.add (local.get 2) (i32.const 1)))
              (br $b)))
            (local.set 1 (i32.add (local.get 1) (i32.const 1)))
            (br $a)))
          (local.get 3))
        (func (export "table") (param i32) (result i32)
          (block $c (block $b (block $a (br_table $a $b $c (local.get 0)))
            (return (i32.const 10))) (return (i32.const 20))) (i32.const 30))
        (func (export "ifs") (param i32) (result i32)
          (if (result i32) (i32.gt_s (local.get 0) (i32.const 3))
            (then (if (i32.eq (local.get 0) (i32.const 5)) (then (return (i32.const 55)))) (i32.const 1))
            (else (i32.const 2)))))`,
      [[0], [1], [3], [5], [17]],
    )
  })

  it('for multi-value blocks, tail calls and typed select', () => {
    assertEqual(
      `(module
        (func $swap (param i32 i32) (result i32 i32) local.get 1 local.get 0)
        (func (export "multi") (param i32) (result i32 i32)
          local.get 0 i32.const 100
          (block (param i32 i32) (result i32 i32) call $swap)
          (loop (param i32 i32) (result i32 i32) call $swap))
        (func $sum (param i32 i32) (result i32)
          (if (result i32) (i32.eqz (local.get 0)) (then (local.get 1))
            (else (return_call $sum (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 1) (local.get 0))))))
        (func (export "tail") (param i32) (result i32) (return_call $sum (local.get 0) (i32.const 0)))
        (func (export "typed") (param i32) (result funcref)
          (select (result funcref) (ref.null func) (ref.null func) (local.get 0))))`,
      [[0], [1], [50]],
    )
  })

  it('for calls through tables and to the host', () => {
    const seen: unknown[] = []
    assertEqual(
      `(module
        (import "host" "note" (func $note (param i32) (result i32)))
        (type $op (func (param i32) (result i32)))
        (table funcref (elem $double $square $note))
        (func $double (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
        (func $square (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))
        (func (export "f") (param i32) (result i32)
          (call $note (call_indirect (type $op) (i32.add (local.get 0) (i32.const 1)) (local.get 0))))
        (func (export "g") (param i32) (result i32)
          (return_call_indirect (type $op) (local.get 0) (local.get 0))))`,
      [[0], [1], [2], [3]],
      { host: { note: (value: number) => seen.push(value) && value + 1000 } },
    )
    assert.ok(seen.length > 0)
  })

  it('for legacy exceptions, rethrown, delegated and from a callee', () => {
    assertEqual(
      `(module
        (tag $a (param i32)) (tag $b (param i64 i32))
        (func $fail (param i32)
          (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $a (i32.const 7))))
          (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $b (i64.const 9) (i32.const 8)))))
        (func (export "caught") (param i32) (result i32)
          (try (result i32)
            (do (call $fail (local.get 0)) (i32.const 0))
            (catch $a)
            (catch $b (local.set 0) (drop) (local.get 0))
            (catch_all (i32.const 99))))
        (func (export "rethrown") (param i32) (result i32)
          (try (result i32)
            (do (try (result i32) (do (call $fail (local.get 0)) (i32.const 0))
              (catch_all (rethrow 0))))
            (catch_all (i32.const 5))))
        (func (export "delegated") (param i32) (result i32)
          (try $t (result i32)
            (do (try (do (call $fail (local.get 0))) (delegate $t)) (i32.const 1))
            (catch_all (i32.const 2))))
        (func (export "uncaught") (result i32) (try (result i32) (do (i32.const 3)) (catch_all (i32.const 4)))))`,
      [[0], [1], [2]],
    )
  })

  it('for all bulk memory and table instructions', () => {
    assertEqual(
      `(module
        (memory (export "memory") 2) (data $d "hello world, this is passive")
        (table $t 10 20 funcref) (elem $e func $one $two)
        (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2))
        (func (export "fill") (memory.fill (i32.const 10) (i32.const 7) (i32.const 70000)))
        (func (export "init") (memory.init $d (i32.const 100) (i32.const 3) (i32.const 8)))
        (func (export "copy") (memory.copy (i32.const 500) (i32.const 90) (i32.const 300)))
        (func (export "drop") (data.drop $d))
        (func (export "over") (memory.init $d (i32.const 100) (i32.const 3) (i32.const 8)))
        (func (export "tables") (result i32)
          (table.init $t $e (i32.const 2) (i32.const 0) (i32.const 2))
          (table.copy (i32.const 5) (i32.const 2) (i32.const 2))
          (table.fill $t (i32.const 8) (ref.func $one) (i32.const 2))
          (drop (table.grow $t (ref.null func) (i32.const 3)))
          (table.set $t (i32.const 0) (table.get $t (i32.const 5)))
          (elem.drop $e)
          (i32.add (table.size $t) (i32.add (call_indirect (result i32) (i32.const 0))
            (call_indirect (result i32) (i32.const 9)))))
        (func (export "null") (result i32) (ref.is_null (table.get $t (i32.const 11))))
        (func (export "grow") (result i32) (drop (memory.grow (i32.const 3))) (memory.size))
        (func (export "toomuch") (result i32) (memory.grow (i32.const -1))))`,
    )
  })

  it('for 64-bit memories', () => {
    assertEqual(
      `(module
        (memory (export "memory") i64 1 8) (data $d "passive bytes")
        (func (export "store") (i64.store offset=8 (i64.const 16) (i64.const -3)))
        (func (export "load") (result i64) (i64.load (i64.const 24)))
        (func (export "fill") (memory.fill (i64.const 100) (i32.const 3) (i64.const 5000)))
        (func (export "copy") (memory.copy (i64.const 9000) (i64.const 90) (i64.const 1000)))
        (func (export "init") (memory.init $d (i64.const 60000) (i32.const 1) (i32.const 6)))
        (func (export "grow") (result i64) (drop (memory.grow (i64.const 2))) (memory.size))
        (func (export "never") (result i64) (memory.grow (i64.const -1)))
        (func (export "far") (memory.fill (i64.const 0) (i32.const 0) (i64.const -1))))`,
    )
  })

  it('for loads and stores of every width', () => {
    const loads = ['i32', 'i64'].flatMap(type =>
      ['8_s', '8_u', '16_s', '16_u', ...(type === 'i64' ? ['32_s', '32_u'] : []), ''].map(
        width =>
          `(func (export "${type}.load${width}") (param i32) (result ${type}) (${type}.load${width} (local.get 0)))`,
      ),
    )
    const stores = [
      'i32.store',
      'i32.store8',
      'i32.store16',
      'i64.store',
      'i64.store8',
      'i64.store16',
      'i64.store32',
    ].map(
      (name, i) => `(func (export "${name}") (param i32)
        (${name} offset=${i * 300} (local.get 0) (${name.slice(0, 3)}.const -2)))`,
    )
    assertEqual(
      `(module (memory (export "memory") 1) (data (i32.const 0) "\\ff\\80\\7f\\01\\02\\fe\\ff\\ff\\00\\90")
        ${loads.join('\n')} ${stores.join('\n')}
        (func (export "f32") (result f32) (f32.store (i32.const 80) (f32.const -0.5)) (f32.load (i32.const 80)))
        (func (export "f64") (result f64) (f64.store (i32.const 80) (f64.const 1e99)) (f64.load (i32.const 80))))`,
      [[0], [1], [5], [65535]],
    )
  })

  it('for vectors: lanes, shuffles, lane memory access, float lanes', () => {
    assertEqual(
      `(module
        (memory (export "memory") 1)
        (data (i32.const 0) "\\01\\02\\03\\04\\05\\06\\07\\08\\09\\0a\\0b\\0c\\0d\\0e\\0f\\10")
        (func $vec (param i32) (result v128) (i32x4.splat (local.get 0)))
        (func (export "lanes") (param i32) (result i32) (local v128)
          (local.set 1 (i8x16.shuffle 0 17 2 19 4 21 6 23 8 25 10 27 12 29 14 31
            (v128.load (i32.const 0)) (call $vec (local.get 0))))
          (v128.store (i32.const 32) (local.get 1))
          (v128.store16_lane 3 (i32.const 64) (local.get 1))
          (v128.store (i32.const 96) (v128.load32_lane 2 (i32.const 4) (local.get 1)))
          (v128.store (i32.const 112) (v128.load64_zero (i32.const 1)))
          (v128.store (i32.const 128) (i8x16.swizzle (local.get 1) (v128.load8_splat (i32.const 2))))
          (i32.add (i8x16.bitmask (local.get 1)) (i32x4.extract_lane 1 (i32x4.mul (local.get 1) (local.get 1)))))
        (func (export "floats") (param i32) (result f64) (local v128)
          (local.set 1 (f32x4.div (f32x4.convert_i32x4_s (call $vec (local.get 0))) (v128.const f32x4 0 1 2 3)))
          (v128.store (i32.const 160) (f32x4.max (local.get 1) (f32x4.sqrt (f32x4.abs (local.get 1)))))
          (v128.store (i32.const 176) (f32x4.pmin (local.get 1) (v128.bitselect (local.get 1) (local.get 1) (local.get 1))))
          (f64x2.extract_lane 1 (f64x2.add (f64x2.promote_low_f32x4 (local.get 1)) (f64x2.splat (f64.const 2))))))`,
      [[1], [-7]],
    )
  })

  it('for modules with neither globals, exports, code nor anything', () => {
    for (const text of [
      '(module)',
      '(module (memory 1))',
      '(module (func))',
      '(module (global i32 (i32.const 3)))',
      '(module (import "h" "g" (global (mut i32))) (export "g" (global 0)))',
      '(module (import "h" "f" (func)) (export "f" (func 0)))',
    ]) {
      const imports = { h: { g: new WebAssembly.Global({ value: 'i32', mutable: true }, 4), f: () => undefined } }
      const { exports } = metered(text, { imports })
      assert.ok(exports['__gas'] instanceof WebAssembly.Global, text)
    }
  })
})

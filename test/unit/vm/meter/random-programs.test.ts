import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type Call, metered, plain } from './support.ts'

type Type = 'i32' | 'i64' | 'f32' | 'f64'

const types: readonly Type[] = ['i32', 'i64', 'f32', 'f64']
const local: Readonly<Record<Type, number>> = { i32: 0, i64: 1, f32: 2, f64: 3 }
const constants: Readonly<Record<Type, readonly string[]>> = {
  i32: ['0', '1', '-7', '0x7fffffff', '-0x80000000'],
  i64: ['0', '3', '-9', '0x7fffffffffffffff'],
  f32: ['0', '-0', '1.5', '-3e8', 'inf'],
  f64: ['0', '-0', '2.25', '-1e300', 'inf'],
}
const integers = ['add', 'sub', 'mul', 'and', 'xor', 'shl', 'rotr', 'div_s', 'rem_u']
const floats = ['add', 'sub', 'mul', 'div', 'min', 'max']

/** Expressions of every type and statements, out of each other, with loops that end. */
const { i32, i64, f32, f64, statement } = fc.letrec<Record<Type | 'statement', string>>(tie => {
  const expression = (type: Type) => {
    const own = tie(type)
    const binary = (type.startsWith('i') ? integers : floats).map(name =>
      fc.tuple(own, own).map(([a, b]) => `(${type}.${name} ${a} ${b})`),
    )
    const convert = types
      .filter(from => from !== type)
      .map(from => tie(from).map(value => conversion(type, from, value)))
    return fc.oneof(
      { maxDepth: 5, depthIdentifier: 'code' },
      fc.constantFrom(...constants[type]).map(value => `(${type}.const ${value})`),
      fc.constant(`(local.get ${local[type]})`),
      ...binary,
      ...convert,
      own.map(value => `(local.tee ${local[type]} ${value})`),
      fc.tuple(tie('i32'), own, own).map(([c, a, b]) => `(if (result ${type}) ${c} (then ${a}) (else ${b}))`),
      fc.tuple(own, own, tie('i32')).map(([a, b, c]) => `(select ${a} ${b} ${c})`),
      tie('i32').map(at => `(${type}.load offset=8 (i32.and (i32.const 0xfff) ${at}))`),
      fc.tuple(tie('statement'), own).map(([s, value]) => `(block (result ${type}) ${s} ${value})`),
      fc.tuple(own, tie('i32')).map(([value, c]) => `(block (result ${type}) (br_if 0 ${value} ${c}))`),
      fc.tuple(tie('i32'), tie('i64')).map(([a, b]) => conversion(type, 'i32', `(call $helper ${a} ${b})`)),
    )
  }
  return {
    i32: expression('i32'),
    i64: expression('i64'),
    f32: expression('f32'),
    f64: expression('f64'),
    statement: fc.oneof(
      { maxDepth: 5, depthIdentifier: 'code' },
      fc.constant('(nop)'),
      ...types.map(type => tie(type).map(value => `(local.set ${local[type]} ${value})`)),
      ...types.map(type =>
        fc
          .tuple(tie('i32'), tie(type))
          .map(([at, value]) => `(${type}.store (i32.and (i32.const 0xfff) ${at}) ${value})`),
      ),
      fc.tuple(tie('i32'), tie('statement')).map(([c, s]) => `(if ${c} (then ${s}))`),
      fc.tuple(tie('statement'), tie('statement')).map(([a, b]) => `${a} ${b}`),
      fc.tuple(tie('i32'), tie('statement')).map(([c, s]) => `(block (block (br_table 0 1 0 ${c})) ${s})`),
      // Fuel is a global that only falls, so every loop ends.
      fc.tuple(tie('statement'), tie('i32')).map(
        ([s, c]) => `(loop ${s} (br_if 0 (i32.and (i32.gt_s (global.get $fuel) (i32.const 0))
          (i32.or (i32.const 1) ${c}) (global.set $fuel (i32.sub (global.get $fuel) (i32.const 1))))))`,
      ),
      tie('i32').map(n => `(memory.fill (i32.const 64) ${n} (i32.and (i32.const 0x3ff) ${n}))`),
    ),
  }
})

const conversion = (to: Type, from: Type, value: string): string => {
  if (to === from) return value
  if (to === 'i32' && from === 'i64') return `(i32.wrap_i64 ${value})`
  if (to === 'i64' && from === 'i32') return `(i64.extend_i32_s ${value})`
  if (to === 'f32' && from === 'f64') return `(f32.demote_f64 ${value})`
  if (to === 'f64' && from === 'f32') return `(f64.promote_f32 ${value})`
  if (to.startsWith('i')) return `(${to}.trunc_sat_${from}_s ${value})`
  return `(${to}.convert_${from}_s ${value})`
}

const body = fc.tuple(statement, i32, i64, f32, f64).map(([s, a, b, c, d]) => ({ s, a, b, c, d }))

const program = fc.tuple(body, statement).map(
  ([{ s, a, b, c, d }, helper]) => `(module (memory (export "memory") 1)
  (global $fuel (export "fuel") (mut i32) (i32.const 60))
  (func $helper (param i32 i64) (result i32) (local f32 f64)
    (if (i32.le_s (global.get $fuel) (i32.const 0)) (then (return (i32.const 5))))
    (global.set $fuel (i32.sub (global.get $fuel) (i32.const 5)))
    ${helper} (i32.add (local.get 0) (i32.wrap_i64 (local.get 1))))
  (func (export "f") (param i32 i64 f32 f64) (result i32 i64 f32 f64) ${s} ${a} ${b} ${c} ${d}))`,
)

const args = [3, -5n, 1.25, -8.5]

describe('vm/meter: programs made at random', () => {
  it('give the same values, memory and globals metered as plain, and cost the same each time', () => {
    let ran = 0
    fc.assert(
      fc.property(program, text => {
        const original = plain(text)
        const twin = metered(text)
        const expected = attempt(() => (original['f'] as Call)(...args))
        const first = twin.call('f', args, 10n ** 12n)
        assert.equal(first.trap !== undefined, expected === undefined)
        if (expected === undefined) return
        // A NaN may differ in its bits, and a program that looks at them goes its own way.
        if (makesNan(text, expected)) return
        ran++
        assert.deepEqual(first.value, expected)
        assert.deepEqual(bytesOf(twin.exports), bytesOf(original))
        assert.equal(twin.global('fuel').value, (original['fuel'] as WebAssembly.Global).value)
        assert.equal(metered(text).call('f', args, 10n ** 12n).gas, first.gas)
      }),
      { numRuns: process.env['AONET_SLOW_TESTS'] === '1' ? 5_000 : 150, seed: 20_240_607 },
    )
    assert.ok(ran > 40, `only ${ran} programs were compared`)
  })
})

const bytesOf = (exports: Record<string, WebAssembly.ExportValue>): Buffer =>
  Buffer.from((exports['memory'] as WebAssembly.Memory).buffer)

function attempt(work: () => unknown): unknown {
  try {
    return work()
  } catch {
    return undefined
  }
}

/** Whether the metered and the plain program could differ: stores and loads show the bits that the machine chose. */
const makesNan = (text: string, values: unknown): boolean =>
  (/f(32|64)\.store/.test(text) && /f(32|64)\.(div|sub|add|mul|demote|promote|load)/.test(text)) ||
  (Array.isArray(values) && values.some(Number.isNaN) && /f(32|64)\.store/.test(text))

import assert from 'node:assert/strict'
import { AoError } from '../../../../src/lib/errors.ts'
import { moduleLimits } from '../../../../src/vm/meter/limits.ts'
import { type MeterOptions, meterModule } from '../../../../src/vm/meter/meter.ts'
import { ModuleRewriter } from '../../../../src/vm/meter/module-rewriter.ts'
import { gas1Prices } from '../../../../src/vm/meter/prices.ts'
import type { RefusalReason } from '../../../../src/vm/meter/refusal.ts'
import { fromText } from './support.ts'

const meter = (bytes: Uint8Array, options: Partial<MeterOptions> = {}) =>
  meterModule(bytes, { prices: gas1Prices, ...options })

const refuses = (reason: RefusalReason, bytes: Uint8Array, options: Partial<MeterOptions> = {}): void =>
  assert.throws(() => meter(bytes, options), isRefusal(reason))

/** The same, but for what this Node itself does not take and a newer one may: without validation before. */
const refusesAnyhow = (reason: RefusalReason, bytes: Uint8Array): void => {
  const options = { prices: gas1Prices, maxDepthWords: 1000, strict: false, maxInitialPages: 100, startGas: 0 }
  assert.throws(() => new ModuleRewriter(bytes, options).rewrite(), isRefusal(reason))
}

const isRefusal = (reason: RefusalReason) => (error: unknown) => {
  assert.ok(error instanceof AoError, String(error))
  assert.equal(error.code, 'UNSUPPORTED_MODULE')
  assert.equal(error.facts['reason'], reason, error.message)
  assert.ok(error.hint, 'a refusal says what to do')
  return true
}

/** A module of one function without parameters, whose code is these bytes. */
function withCode(...code: number[]): Uint8Array {
  const body = [0, ...code, 0x0b]
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[1, 4, 1, 0x60, 0, 0],
    ...[3, 2, 1, 0],
    ...[10, body.length + 2, 1, body.length, ...body],
  ])
}
const withSection = (id: number, ...bytes: number[]) =>
  Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, id, bytes.length, ...bytes])

describe('vm/meter refuses', () => {
  it('what is not a valid module, however short', () => {
    const valid = fromText('(module (func (export "f") (result i32) (i32.const 1)))')
    for (let length = 0; length < valid.length; length++) {
      const part = valid.subarray(0, length)
      if (!WebAssembly.validate(part as Uint8Array<ArrayBuffer>)) refuses('invalid', part)
    }
    refuses('invalid', Uint8Array.of(1, 2, 3))
    refuses(
      'invalid',
      fromText('(module (func))').map((byte, i) => (i === 4 ? 2 : byte)),
    )
  })

  it('a module that names the globals of the meter before they exist', () => {
    refuses('invalid', withCode(0x42, 0, 0x24, 0))
  })

  it('relaxed SIMD, threads, shared memory', () => {
    refusesAnyhow(
      'relaxed-simd',
      fromText('(module (func (drop (i32x4.relaxed_trunc_f32x4_s (v128.const i64x2 0 0)))))'),
    )
    refuses('threads', fromText('(module (memory 1 1 shared) (func (drop (i32.atomic.load (i32.const 0)))))'))
    refusesAnyhow('threads', fromText('(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))'))
    refusesAnyhow('threads', withSection(6, 1, 0x7f, 2, 0x41, 0, 0x0b))
  })

  it('garbage-collected types and instructions, typed references, exception references', () => {
    refusesAnyhow('gc', withSection(1, 1, 0x5f, 0))
    refusesAnyhow('gc', withCode(0xfb, 0))
    refusesAnyhow('typed-references', withCode(0x14, 0))
    refusesAnyhow('typed-references', withCode(0xd5, 0))
    refusesAnyhow('typed-references', withCode(0xd0, 0x6e, 0x1a))
    refusesAnyhow('typed-references', withSection(1, 1, 0x60, 1, 0x64, 0x70, 0))
    refusesAnyhow('typed-references', withSection(4, 1, 0x40, 0, 0x70, 0, 1, 0xd0, 0x70, 0x0b))
    refusesAnyhow('exnref', withCode(0x1f, 0x40, 0, 0x0b))
    refusesAnyhow('exnref', withCode(0x0a))
    refusesAnyhow('exnref', withSection(1, 1, 0x60, 1, 0x69, 0))
  })

  it('several memories, 64-bit tables, pages of another size', () => {
    refusesAnyhow('multi-memory', fromText('(module (memory 1) (memory 1))'))
    refusesAnyhow('multi-memory', withCode(0x41, 0, 0x28, 0x40, 0, 0, 0x1a))
    refusesAnyhow('multi-memory', withSection(11, 1, 2, 0, 0x41, 0, 0x0b, 0))
    refusesAnyhow('table64', withSection(4, 1, 0x70, 4, 1))
    refusesAnyhow('custom-page-size', withSection(5, 1, 8, 1, 0))
  })

  it('unknown instructions, sections, types and computed constants, even where an engine takes them', () => {
    refusesAnyhow('unknown-opcode', withCode(0x27))
    refusesAnyhow('unknown-opcode', withCode(0xfc, 18))
    refusesAnyhow('unknown-opcode', withCode(0xfd, 0x9a, 0x01))
    refusesAnyhow('unknown-section', withSection(14, 0))
    refusesAnyhow('unknown-type', withSection(1, 1, 0x60, 1, 0x77, 0))
    refusesAnyhow('unknown-type', withCode(0x02, 0x77, 0x0b))
    refusesAnyhow('unknown-type', withCode(0x02, 0xff, 0x7f, 0x0b))
    refusesAnyhow('extended-const', fromText('(module (global i32 (i32.add (i32.const 1) (i32.const 2))))'))
    refusesAnyhow('extended-const', withSection(6, 2, 0x7f, 0, 0x41, 0, 0x0b, 0x7f, 0, 0x23, 0, 0x0b))
  })

  it('vectors and references in mutable globals', () => {
    refuses('mutable-global', fromText('(module (global (mut v128) (v128.const i64x2 0 0)))'))
    refuses('mutable-global', fromText('(module (global (mut funcref) (ref.null func)))'))
    refuses('mutable-global', fromText('(module (import "h" "g" (global (mut externref))))'))
    meter(fromText('(module (global v128 (v128.const i64x2 0 0)) (global funcref (ref.null func)))'))
  })

  it('changes of tables and segments when strict, and only then', () => {
    const tables = '(table 4 funcref) (elem $e func $f) (data $d "x") (memory 1)'
    for (const [code, reason] of [
      ['(table.set (i32.const 0) (ref.func $f))', 'table-change'],
      ['(drop (table.grow (ref.null func) (i32.const 1)))', 'table-change'],
      ['(table.fill (i32.const 0) (ref.null func) (i32.const 1))', 'table-change'],
      ['(table.copy (i32.const 0) (i32.const 1) (i32.const 1))', 'table-change'],
      ['(table.init $e (i32.const 0) (i32.const 0) (i32.const 1))', 'table-change'],
      ['(elem.drop $e)', 'segment-drop'],
      ['(data.drop $d)', 'segment-drop'],
    ] as const) {
      const bytes = fromText(`(module ${tables} (func $f ${code}))`)
      refuses(reason, bytes, { strict: true })
      const { uses } = meter(bytes).shape
      assert.equal(reason === 'table-change' ? uses.tableChanges : uses.segmentDrops, true, code)
    }
    const harmless = `(module ${tables} (func $f (drop (table.get (i32.const 0))) (drop (table.size))
      (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))))`
    meter(fromText(harmless), { strict: true })
  })

  it('more of anything than the limits say', () => {
    refuses('too-big', new Uint8Array(moduleLimits.moduleBytes + 1))
    refuses('initial-memory', fromText('(module (memory 101))'), { maxInitialPages: 100 })
    refuses('initial-memory', fromText('(module (memory i64 20000))'))
    refuses('initial-memory', fromText('(module (import "h" "m" (memory 101)))'), { maxInitialPages: 100 })
    meter(fromText('(module (memory 100))'), { maxInitialPages: 100 })
    refuses('too-big', fromText(`(module (table ${moduleLimits.tableEntries + 1} funcref))`))
    refuses('too-big', fromText('(module (table 60000 funcref) (table 60000 funcref))'))
    refuses(
      'too-big',
      fromText(`(module ${'(global (mut i32) (i32.const 0))'.repeat(moduleLimits.mutableGlobals + 1)})`),
    )
    const locals = Uint8Array.from([...withCode()])
    const many = Uint8Array.from([...locals.subarray(0, 18), 10, 8, 1, 6, 1, 0xe9, 0xfe, 0x02, 0x7f, 0x0b])
    assert.ok(WebAssembly.validate(many), '49,001 locals are valid')
    refuses('too-big', many)
  })

  it('a function that is too big only once it is metered', () => {
    const loops = new Array(600_000).fill([0x03, 0x40, 0x0b]).flat()
    const size = (n: number) => [(n & 0x7f) | 0x80, ((n >> 7) & 0x7f) | 0x80, ((n >> 14) & 0x7f) | 0x80, n >> 21]
    const body = [0, ...loops, 0x0b]
    const bytes = Uint8Array.from([
      ...withCode().subarray(0, 18),
      10,
      ...size(body.length + 5),
      1,
      ...size(body.length),
      ...body,
    ])
    assert.ok(WebAssembly.validate(bytes))
    refuses('too-big', bytes)
  })

  it('a nonsensical depth as the mistake of a programmer', () => {
    for (const maxDepthWords of [0, -1, 1.5, Number.NaN, 2 ** 30]) {
      assert.throws(() => meter(fromText('(module)'), { maxDepthWords }), TypeError)
    }
  })
})

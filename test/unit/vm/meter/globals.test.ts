import assert from 'node:assert/strict'
import { meterModule } from '../../../../src/vm/meter/meter.ts'
import { gas1Prices, legacyPrices } from '../../../../src/vm/meter/prices.ts'
import { fromText, MeteredInstance, metered } from './support.ts'

/** A bump allocator and a counter that lives where it was allocated, as AssemblyScript's stub runtime has it. */
const bump = `(module (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 1024))
  (global $at (mut i32) (i32.const 0))
  (func $alloc (export "alloc") (param i32) (result i32)
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 0) (i32.const 7)) (i32.const -8)))))
  (func (export "count") (result i32)
    (if (i32.eqz (global.get $at)) (then (global.set $at (call $alloc (i32.const 4)))))
    (i32.store (global.get $at) (i32.add (i32.load (global.get $at)) (i32.const 1)))
    (i32.load (global.get $at))))`

describe('vm/meter: globals', () => {
  it('are shown so that state outside memory survives: a bump allocator goes on where it was', () => {
    const { bytes, exportsAdded } = meterModule(fromText(bump), { prices: gas1Prices })
    assert.deepEqual(exportsAdded, { gas: '__gas', depth: '__depth', globals: ['__global_0', '__global_1'] })
    const module = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>)
    const live = new MeteredInstance(module)
    live.call('alloc', [20])
    for (const n of [1, 2]) assert.equal(live.call('count').value, n)

    const memory = new Uint8Array((live.exports['memory'] as WebAssembly.Memory).buffer)
    const restored = new MeteredInstance(module)
    new Uint8Array((restored.exports['memory'] as WebAssembly.Memory).buffer).set(memory)
    const forgetful = restored.call('count').value
    assert.equal(forgetful, 1, 'from memory alone the counter starts again')
    new Uint8Array((restored.exports['memory'] as WebAssembly.Memory).buffer).set(memory)
    for (const name of exportsAdded.globals) restored.global(name).value = live.global(name).value
    assert.equal(restored.call('count').value, 3)
    assert.equal(restored.call('alloc', [1]).value, live.call('alloc', [1]).value)
  })

  it('are shown whatever their type and whether or not the module shows them; constants are not', () => {
    const text = `(module (import "h" "i" (global (mut i64))) (import "h" "c" (global i32))
      (global (export "own") (mut i32) (i32.const 1)) (global f32 (f32.const 2))
      (global (mut f32) (f32.const 3)) (global (mut f64) (f64.const 4)) (global (mut i64) (i64.const 5)))`
    const { shape } = meterModule(fromText(text), { prices: gas1Prices })
    assert.deepEqual(
      shape.mutableGlobals.map(({ index, type, exportName, imported }) => [index, type, exportName, imported]),
      [
        [0, 'i64', '__global_0', true],
        [2, 'i32', '__global_2', false],
        [4, 'f32', '__global_4', false],
        [5, 'f64', '__global_5', false],
        [6, 'i64', '__global_6', false],
      ],
    )
    const imports = { h: { i: new WebAssembly.Global({ value: 'i64', mutable: true }, 9n), c: 1 } }
    const instance = metered(text, { imports })
    assert.deepEqual(
      shape.mutableGlobals.map(({ exportName }) => instance.global(exportName).value),
      [9n, 1, 3, 4, 5n],
    )
    instance.global('own').value = 77
    assert.equal(instance.global('__global_2').value, 77, 'two names for one global')
  })

  it('of the meter are last, so that no index of the module changes', () => {
    const instance = metered(`(module (global $a (mut i32) (i32.const 3)) (global $b i32 (i32.const 4))
      (func (export "f") (result i32) (i32.add (global.get $a) (global.get $b))))`)
    assert.equal(instance.call('f').value, 7)
  })

  it('never take a name that the module exports', () => {
    for (const name of ['__gas', '__depth', '__global_0']) {
      assert.throws(
        () =>
          meterModule(fromText(`(module (global (mut i32) (i32.const 0)) (func (export "${name}")))`), {
            prices: gas1Prices,
          }),
        { code: 'UNSUPPORTED_MODULE', facts: { reason: 'reserved-export', name } },
      )
    }
    const once = meterModule(fromText('(module)'), { prices: gas1Prices }).bytes
    assert.throws(() => meterModule(once, { prices: gas1Prices }), { code: 'UNSUPPORTED_MODULE' }, 'nor meters twice')
  })
})

describe('vm/meter: what it tells of a module', () => {
  it('is its start function, imports with types, exports, memory, tables and features', () => {
    const { shape, identity } = meterModule(
      fromText(`(module
        (import "env" "f" (func (param i32 f64) (result i64)))
        (import "env" "t" (table 1 funcref))
        (memory (export "m") 3 9) (start $s)
        (func $s (export "s")) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0)) (data.drop 0)
          (drop (memory.grow (i32.const 1)))) (data "x"))`),
      { prices: legacyPrices },
    )
    assert.equal(identity, 'legacy-1')
    assert.deepEqual(shape, {
      hasStart: true,
      imports: [
        { module: 'env', name: 'f', kind: 'function', signature: { params: ['i32', 'f64'], results: ['i64'] } },
        { module: 'env', name: 't', kind: 'table' },
      ],
      exports: [
        { name: 'm', kind: 'memory' },
        { name: 's', kind: 'function' },
      ],
      memory: { initial: 3, maximum: 9, index64: false, imported: false },
      hasTables: true,
      mutableGlobals: [],
      uses: { tableChanges: false, segmentDrops: true, exceptions: false, simd: false, memoryGrow: true },
    })
  })

  it('keeps the names of functions and no other custom section', () => {
    const custom = (name: string) => [0, name.length + 3, name.length, ...Buffer.from(name), 1, 2]
    const bytes = Uint8Array.from([...fromText('(module)'), ...custom('debug'), ...custom('name'), ...custom('x')])
    const module = new WebAssembly.Module(meterModule(bytes, { prices: gas1Prices }).bytes as Uint8Array<ArrayBuffer>)
    const count = (name: string) => WebAssembly.Module.customSections(module, name).length
    assert.deepEqual([count('name'), count('debug'), count('x')], [1, 0, 0])
  })

  it('is the same each time, and so are the bytes', () => {
    const bytes = fromText(bump)
    assert.deepEqual(meterModule(bytes, { prices: gas1Prices }), meterModule(bytes.slice(), { prices: gas1Prices }))
  })

  it('does not depend on where in a buffer the bytes are', () => {
    const bytes = fromText(bump)
    const padded = new Uint8Array(bytes.length + 30)
    padded.set(bytes, 13)
    const moved = meterModule(padded.subarray(13, 13 + bytes.length), { prices: gas1Prices })
    assert.deepEqual(moved, meterModule(bytes, { prices: gas1Prices }))
  })
})

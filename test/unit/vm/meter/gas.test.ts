import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { gas1Prices, legacyPrices } from '../../../../src/vm/meter/prices.ts'
import { type Call, fromText, metered } from './support.ts'

// Prices of gas-1 as the table has them; the sums below are made by hand.
const run = 10
const access = 4
const constant = 2
const usual = 10
const call = 40

describe('vm/meter: gas', () => {
  it('is the sum of what ran: a straight function', () => {
    const instance = metered(`(module (func (export "add") (param i32 i32) (result i32)
      local.get 0 local.get 1 i32.add))`)
    assert.deepEqual(instance.call('add', [3, 4]), { value: 7, gas: BigInt(run + 2 * access + usual) })
  })

  it('is asked only for the branch that is taken', () => {
    const instance = metered(`(module (func (export "abs") (param i32) (result i32)
      (if (result i32) (i32.lt_s (local.get 0) (i32.const 0))
        (then (i32.sub (i32.const 0) (local.get 0)))
        (else (local.get 0)))))`)
    const head = run + access + constant + usual + usual
    assert.equal(instance.call('abs', [-5]).gas, BigInt(head + run + constant + access + usual))
    assert.equal(instance.call('abs', [5]).gas, BigInt(head + run + access))
  })

  it('is asked for each turn of a loop', () => {
    const instance = metered(`(module (func (export "count") (param i32)
      (loop $again
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (br_if $again (local.get 0)))))`)
    const turn = run + access + constant + usual + access + access + usual
    for (const turns of [1, 2, 1000]) assert.equal(instance.call('count', [turns]).gas, BigInt(turns * turn))
  })

  it('is asked for each call, direct and not', () => {
    const instance = metered(`(module (table funcref (elem $f)) (func $f)
      (func (export "direct") (call $f) (call $f))
      (func (export "indirect") (call_indirect (i32.const 0))))`)
    assert.equal(instance.call('direct').gas, BigInt(run + 2 * call))
    assert.equal(instance.call('indirect').gas, BigInt(run + constant + 60))
  })

  it('is asked by the byte for bulk memory instructions, before they run', () => {
    const instance = metered(`(module (memory 16 16)
      (func (export "fill") (param i32) (memory.fill (i32.const 0) (i32.const 0) (local.get 0))))`)
    const flat = run + 2 * constant + access + 30
    assert.equal(instance.call('fill', [0]).gas, BigInt(flat))
    assert.equal(instance.call('fill', [63]).gas, BigInt(flat))
    assert.equal(instance.call('fill', [64]).gas, BigInt(flat + 30))
    assert.equal(instance.call('fill', [1_048_576]).gas, BigInt(flat + 30 * 16_384))
    assert.deepEqual(instance.call('fill', [1_048_576], 400_000n).trap, 'out of gas')
    assert.equal(instance.call('fill', [-1]).trap, 'trap', 'a length beyond memory traps by itself')
    assert.equal(instance.call('fill', [-1], 1_000_000n).trap, 'out of gas')
  })

  it('is asked by the byte where lengths have 64 bits, and never given back for an absurd one', () => {
    const text = `(module (memory i64 1)
      (func (export "fill") (param i64) (memory.fill (i64.const 0) (i32.const 0) (local.get 0))))`
    for (const prices of [gas1Prices, legacyPrices]) {
      const instance = metered(text, { prices })
      for (const length of [-1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 62n]) {
        const { trap, gas } = instance.call('fill', [length], 10n ** 16n)
        assert.equal(trap, 'trap')
        assert.ok(gas > 2n ** 34n, `${length} bytes cost ${gas}`)
      }
    }
  })

  it('is asked by the page for memory.grow, and for no more pages than there can be', () => {
    const instance = metered(`(module (memory 1 10) (func (export "grow") (param i32) (result i32)
      (memory.grow (local.get 0))))`)
    const flat = run + access + 2_000_000
    assert.deepEqual(instance.call('grow', [0]), { value: 1, gas: BigInt(flat) })
    assert.deepEqual(instance.call('grow', [3]), { value: 1, gas: BigInt(flat + 3 * 30_720) })
    assert.deepEqual(instance.call('grow', [-1]), { value: -1, gas: BigInt(flat + 65_536 * 30_720) })
    assert.deepEqual(instance.call('grow', [3], 2_050_000n).trap, 'out of gas')
  })

  it('is asked by the entry for bulk table instructions', () => {
    const instance = metered(`(module (table 100 200 funcref)
      (func (export "fill") (param i32) (table.fill (i32.const 0) (ref.null func) (local.get 0)))
      (func (export "grow") (param i32) (drop (table.grow (ref.null func) (local.get 0)))))`)
    const fill = run + constant + usual + access + 30
    assert.equal(instance.call('fill', [100]).gas, BigInt(fill + 100 * 200))
    assert.equal(instance.call('grow', [50]).gas, BigInt(run + usual + access + 30 + 1 + 50 * 200))
  })

  it('ends an empty loop, a recursion, and a loop of 1 MiB fills', () => {
    const instance = metered(`(module (memory 16)
      (func (export "spin") (loop $l (br $l)))
      (func (export "table") (loop $l (br_table $l $l (i32.const 0))))
      (func $call (export "call") (call $call))
      (func $tail (export "tail") (return_call $tail))
      (func (export "fills") (loop $l
        (memory.fill (i32.const 0) (i32.const 1) (i32.const 1048576)) (br $l)))
      (func (export "throws") (loop $l (try (do (throw $t)) (catch_all)) (br $l))) (tag $t))`)
    for (const name of ['spin', 'table', 'fills', 'throws']) {
      const { trap, gas } = instance.call(name, [], 100_000_000n)
      assert.equal(trap, 'out of gas', name)
      assert.ok(gas > 100_000_000n && gas < 101_000_000n, `${name} overshot to ${gas}`)
    }
    assert.equal(instance.call('call', [], 10_000n).trap, 'out of gas')
    assert.equal(instance.call('tail', [], 10_000n).trap, 'out of gas')
  })

  it('stays spent: without more of it every further call traps at once', () => {
    const instance = metered('(module (func (export "spin") (loop $l (br $l))) (func (export "f")))')
    instance.call('spin', [], 1000n)
    assert.throws(() => (instance.exports['f'] as () => void)(), WebAssembly.RuntimeError)
  })

  it('tells a trap of the module itself from one of the meter', () => {
    const instance = metered('(module (func (export "f") unreachable))')
    assert.deepEqual(instance.call('f'), { trap: 'trap', gas: 20n })
  })

  it('of a start function is a grant that the host need not set', () => {
    const started = metered(`(module (global (export "g") (mut i32) (i32.const 0)) (start $s)
      (func $s (global.set 0 (i32.const 5))))`)
    assert.equal(started.global('g').value, 5)
    assert.throws(() => metered('(module (start $s) (func $s (loop $l (br $l))))'), WebAssembly.RuntimeError)
  })

  it('counts calls to the host and what they call back', () => {
    const holder: { back?: () => void } = {}
    const imports = { h: { f: () => holder.back?.() } }
    const instance = metered(
      `(module (import "h" "f" (func $f)) (func (export "f") (call $f)) (func (export "back") (drop (i32.const 1))))`,
      { imports },
    )
    const alone = instance.call('f').gas
    assert.equal(alone, BigInt(run + call))
    holder.back = instance.exports['back'] as () => void
    assert.equal(instance.call('f').gas, alone + BigInt(run + constant + 1))
  })
})

describe('vm/meter/prices', () => {
  it('of legacy are those of @permaweb/wasm-metering, opcode by opcode', () => {
    const require = createRequire(import.meta.url)
    const { code } = (require('@permaweb/wasm-metering/defaultCostTable.json') as CostTable).code
    for (const [opcode, name] of toolkitNames()) assert.equal(legacyPrices.opcodes[opcode], code[name] ?? 0, name)
    assert.equal(legacyPrices.perRun, (code['const'] ?? 0) + (code['call'] ?? 0))
  })

  it('of legacy come to what that package counts, wherever a run of code ends', () => {
    const text = `(module (memory 1 3) (table funcref (elem $leaf)) (global $g (mut i32) (i32.const 0))
      (func $leaf (param i32) (result i32) (i32.div_u (local.get 0) (i32.const 3)))
      (func (export "f") (param i32) (result i32) (local f64)
        (drop (memory.grow (i32.const 1))) (drop (memory.size))
        (block $out (loop $again
          (br_if $out (i32.eqz (local.get 0)))
          (local.set 1 (f64.sqrt (f64.add (local.get 1) (f64.convert_i32_s (local.get 0)))))
          (if (i32.and (local.get 0) (i32.const 1))
            (then (global.set $g (call $leaf (local.get 0))))
            (else (nop) (i32.store (i32.const 8) (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0)))))
          (block $c (block $b (block $a (br_table $a $b $c (local.get 0))) (drop (i32.const 1)) (br $c)) (nop))
          (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
          (br $again)))
        (return (select (global.get $g) (i32.rotl (i32.const 1) (i32.const 2)) (f64.lt (local.get 1) (f64.const 1))))))`
    const toolkit = createRequire(import.meta.url)('@permaweb/wasm-metering') as Toolkit
    let used = 0
    const usegas = (gas: number) => {
      used += gas
    }
    const theirs = toolkit.meterWASM(Buffer.from(fromText(text)), { meterType: 'i32' })
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(theirs), { metering: { usegas } })
    for (const turns of [0, 1, 2, 7]) {
      const ours = metered(text, { prices: legacyPrices }).call('f', [turns])
      used = 0
      assert.equal((exports['f'] as Call)(turns), ours.value)
      assert.equal(ours.gas, BigInt(used), `${turns} turns`)
    }
  })

  it('of gas-1 leave nothing free that takes time', () => {
    const free = new Set([0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x0b, 0x18, 0x19])
    for (const [opcode, price] of gas1Prices.opcodes.entries()) {
      assert.equal(price === 0, free.has(opcode), `opcode ${opcode.toString(16)}`)
    }
  })
})

interface Toolkit {
  meterWASM(bytes: Uint8Array, options: { meterType: 'i32' | 'i64' }): Uint8Array<ArrayBuffer>
}

interface CostTable {
  readonly code: { readonly code: Readonly<Record<string, number>> }
}

/** What that package calls each opcode that it can read: the words of the standard as they were in 2017. */
function toolkitNames(): [number, string][] {
  const control = 'unreachable nop block loop if else'
  const names = new Map<number, string>(control.split(' ').map((name, i) => [i, name]))
  const put = (first: number, list: string) => {
    for (const [i, name] of list.split(' ').entries()) names.set(first + i, name)
  }
  put(0x0b, 'end br br_if br_table return call call_indirect')
  put(0x1a, 'drop select')
  put(0x20, 'get_local set_local tee_local get_global set_global')
  put(0x28, 'load load load load load8_s load8_u load16_s load16_u load8_s load8_u load16_s load16_u load32_s load32_u')
  put(0x36, 'store store store store store8 store16 store8 store16 store32 current_memory grow_memory')
  put(0x41, 'const const const const')
  const compare = 'eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u'
  put(0x45, `${compare} ${compare} eq ne lt gt le ge eq ne lt gt le ge`)
  const integer = 'clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr'
  put(0x67, `${integer} ${integer}`)
  const float = 'abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign'
  put(0x8b, `${float} ${float}`)
  put(0xa7, 'wrap trunc_s trunc_u trunc_s trunc_u extend_s extend_u trunc_s trunc_u trunc_s trunc_u')
  put(0xb2, 'convert_s convert_u convert_s convert_u demote convert_s convert_u convert_s convert_u promote')
  put(0xbc, 'reinterpret reinterpret reinterpret reinterpret extend8_s extend16_s extend8_s extend16_s extend32_s')
  return [...names]
}

import assert from 'node:assert/strict'
import { AoError } from '../../../../src/lib/errors.ts'
import { stripAsyncify } from '../../../../src/vm/asyncify/strip.ts'
import { isValid } from '../../../../src/vm/meter/meter.ts'
import { mutateBytes } from '../../../support/mutation.ts'
import { SeededRandom } from '../../../support/random.ts'
import { fromText } from '../meter/support.ts'
import { asyncified, loadBinaryen } from './binaryen.ts'

/** 10,000 in `npm run test:slow`. */
const rounds = process.env['AONET_SLOW_TESTS'] === '1' ? 10_000 : 500

type Call = (...args: unknown[]) => unknown

/** Loops, recursion, tables, several values, calls to the host that could be put aside, a trap and state in globals. */
const program = `(module
  (import "env" "sleep" (func $sleep (param i32) (result i32)))
  (memory (export "memory") 1)
  (table 3 funcref)
  (elem (i32.const 0) $twice $thrice $sleepy)
  (type $one (func (param i32) (result i32)))
  (global $count (export "count") (mut i32) (i32.const 0))
  (func $twice (type $one) (i32.mul (local.get 0) (i32.const 2)))
  (func $thrice (type $one) (i32.add (local.get 0) (call $twice (local.get 0))))
  (func $sleepy (type $one) (local i32)
    (local.set 1 (call $sleep (local.get 0)))
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.store (i32.shl (i32.and (local.get 0) (i32.const 255)) (i32.const 2)) (local.get 1))
    (select (local.get 1) (call $sleep (local.get 1)) (i32.and (local.get 0) (i32.const 1))))
  (func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
      (then (call $sleep (local.get 0)))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func (export "walk") (param i32) (result i32) (local i32 i32)
    (block $out
      (loop $next
        (br_if $out (i32.ge_u (local.get 1) (local.get 0)))
        (block $c (block $b (block $a (br_table $a $b $c (i32.rem_u (local.get 1) (i32.const 3))))
            (local.set 2 (i32.add (local.get 2) (call $sleepy (local.get 1)))) (br $c))
          (local.set 2 (i32.xor (local.get 2) (call_indirect (type $one) (local.get 1) (i32.const 2)))))
        (local.set 1 (i32.add (local.get 1) (i32.const 1)))
        (br $next)))
    (if (i32.eq (local.get 2) (i32.const 7)) (then (return (i32.const -1))))
    (local.get 2))
  (func (export "trap") (param i32) (result i32)
    (drop (call $sleepy (local.get 0)))
    (call_indirect (type $one) (local.get 0) (i32.add (local.get 0) (call $sleep (i32.const 0))))))`

describe('vm/asyncify', () => {
  const versions: Uint8Array[] = []
  before(async () => {
    versions.push(...asyncified(await loadBinaryen(), fromText(program)))
  })

  const compiled = (module: Uint8Array): WebAssembly.Module => new WebAssembly.Module(module as Uint8Array<ArrayBuffer>)
  const observe = (module: Uint8Array): unknown => {
    const slept: number[] = []
    const sleep = (ms: number): number => {
      slept.push(ms)
      return ms + 3
    }
    const { exports } = new WebAssembly.Instance(compiled(module), { env: { sleep } })
    const call = (name: string, arg: number): unknown => {
      try {
        return (exports[name] as Call)(arg)
      } catch {
        return 'trap'
      }
    }
    const values = [0, 1, 2, 5, 9, 33].map(n => [
      call('fib', n % 12),
      call('walk', n),
      call('trap', n),
      call('trap', -3),
    ])
    const { memory, count } = exports as { memory: WebAssembly.Memory; count: WebAssembly.Global }
    return [values, slept, count.value, Buffer.from(memory.buffer).toString('base64')]
  }

  it('takes out what never runs, and nothing else: values, traps, host calls, memory and globals are those of before', () => {
    for (const bytes of versions) {
      const stripped = stripAsyncify(bytes)
      assert.ok(stripped.length < bytes.length * 0.7, `${stripped.length} of ${bytes.length} bytes are left`)
      assert.deepEqual(observe(stripped), observe(bytes))
      assert.deepEqual(observe(stripped), observe(fromText(program)))
      assert.deepEqual(stripAsyncify(bytes), stripped)
    }
  })

  it('leaves a module alone that has no asyncify', () => {
    const plain = fromText(program)
    assert.equal(stripAsyncify(plain), plain)
  })

  it('gives a valid module for every valid one, however broken its code is', () => {
    const random = new SeededRandom(11)
    let [valid, changed] = [0, 0]
    for (let round = 0; round < rounds; round++) {
      const mutant = mutateBytes(random.pick(versions), random)
      if (!isValid(mutant)) continue
      valid++
      try {
        const stripped = stripAsyncify(mutant)
        assert.ok(isValid(stripped), `round ${round}`)
        if (stripped !== mutant) changed++
      } catch (error) {
        assert.ok(error instanceof AoError && error.code === 'UNSUPPORTED_MODULE', `round ${round}: ${error}`)
      }
    }
    assert.ok(changed * 10 > valid && valid * 50 > rounds, `${changed} of ${valid} valid ones were changed`)
  })

  /** Five exports as asyncify has them, and `more` that may break the proof. */
  const suspect = ({ more = '', initial = '0', others = '' } = {}): Uint8Array =>
    fromText(`(module (table 1 funcref)
      (global $state (mut i32) (i32.const ${initial})) (global $other (mut i32) (i32.const 0))
      (func $a (export "asyncify_start_unwind") (param i32) (global.set $state (i32.const 1)))
      (func $b (export "asyncify_stop_unwind") (global.set $state (i32.const 0)))
      (func $c (export "asyncify_start_rewind") (param i32) (global.set $state (i32.const 2)))
      (func $d (export "asyncify_stop_rewind") (global.set $state (i32.const 0)))
      (func $e (export "asyncify_get_state") (result i32) (global.get $state))
      (func (export "f") (result i32) (if (global.get $state) (then ${others} (return (i32.const 1)))) (i32.const 2))
      ${more})`)

  it('folds only where the proof holds that the state is always zero', () => {
    const rested = suspect()
    assert.ok(stripAsyncify(rested).length < rested.length)
    const broken: Record<string, Uint8Array> = {
      'begins at another value': suspect({ initial: '1' }),
      'is set elsewhere': suspect({ more: '(func (export "g") (global.set $state (i32.const 1)))' }),
      'is set in code that seems dead': suspect({ others: '(global.set $state (i32.const 0))' }),
      'has a setter that is called': suspect({ more: '(func (export "g") (call $a (i32.const 0)))' }),
      'has a setter that is called in place of a return': suspect({ more: '(func (export "g") (return_call $b))' }),
      'has a setter in a table': suspect({ more: '(elem (i32.const 0) $b)' }),
      'has a setter in a declared segment': suspect({ more: '(elem declare func $d)' }),
      'has a setter with another name': suspect({ more: '(export "handle" (func $b))' }),
      'has a setter that starts the module': suspect({ more: '(start $d)' }),
      'is exported': suspect({ more: '(export "state" (global $state))' }),
    }
    for (const [why, module] of Object.entries(broken)) assert.equal(stripAsyncify(module), module, why)
  })
})

import assert from 'node:assert/strict'
import { Worker } from 'node:worker_threads'
import { meterModule } from '../../../../src/vm/meter/meter.ts'
import { gas1Prices } from '../../../../src/vm/meter/prices.ts'
import { fromText, metered } from './support.ts'

const recursion = `(module
  (global $calls (export "calls") (mut i32) (i32.const 0))
  (func $f (export "f") (param i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.add (i32.const 1) (call $f (local.get 0))))
  (func $warm (export "warm") (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
      (else (i32.add (i32.const 1) (call $warm (i32.sub (local.get 0) (i32.const 1))))))))`

describe('vm/meter: depth', () => {
  it('ends a recursion at the same call and the same gas, cold and hot', () => {
    const instance = metered(recursion, { maxDepthWords: 20_000 })
    const seen = new Set<string>()
    for (let i = 0; i < 300; i++) {
      instance.global('calls').value = 0
      const { trap, gas } = instance.call('f', [1])
      seen.add(`${trap} ${gas} ${instance.global('calls').value}`)
    }
    assert.equal(seen.size, 1, [...seen].join())
    const [only] = seen
    // 12 words, the parameter, two operands, a value to and one from the callee; the last entry is the one that trapped.
    assert.match(only ?? '', new RegExp(`^stack overflow \\d+ ${Math.floor(20_000 / 17)}$`))
  })

  it('lets a call go to the limit and no further', () => {
    const instance = metered(recursion, { maxDepthWords: 150 })
    const frame = 12 + 1 + 3 + 2
    const deepest = Math.floor(150 / frame) - 1
    assert.equal(instance.call('warm', [deepest]).value, deepest)
    assert.equal(instance.call('warm', [deepest + 1]).trap, 'stack overflow')
    assert.equal(instance.call('warm', [deepest]).value, deepest, 'and starts anew for the next call')
  })

  it('weighs a frame by its locals and operands, vectors twice', () => {
    const depthOf = (locals: string, operands: number) => {
      const values = '(i32.const 1)'.repeat(operands)
      const drops = '(drop)'.repeat(operands)
      const instance = metered(
        `(module (global $n (export "n") (mut i32) (i32.const 0))
        (func $f (export "f") ${locals} (global.set $n (i32.add (global.get $n) (i32.const 1))) ${values} (call $f) ${drops}))`,
        { maxDepthWords: 20_000 },
      )
      assert.equal(instance.call('f').trap, 'stack overflow')
      return instance.global('n').value
    }
    assert.equal(depthOf('', 0), Math.floor(20_000 / (12 + 2)))
    assert.equal(depthOf(`(local ${'i64 '.repeat(100)})`, 0), Math.floor(20_000 / (12 + 100 + 2)))
    const left = '(block i32.const 1 i32.const 2 br 0)'.repeat(50)
    assert.equal(depthOf(left, 0), Math.floor(20_000 / (12 + 2)), 'what a branch leaves behind does not add up')
    assert.equal(depthOf('', 100), Math.floor(20_000 / (12 + 100)))
    assert.equal(depthOf(`(local ${'v128 '.repeat(100)})`, 0), Math.floor(20_000 / (12 + 200 + 4)))
  })

  it('counts a big frame that calls nothing', () => {
    const instance = metered(`(module (func $leaf (local ${'i64 '.repeat(500)})) (func (export "f") (call $leaf)))`, {
      maxDepthWords: 400,
    })
    assert.equal(instance.call('f').trap, 'stack overflow')
  })

  it('counts mutual, indirect and host-borne recursion alike', () => {
    const holder: { back?: (n: number) => void } = {}
    const instance = metered(
      `(module (import "h" "bounce" (func $bounce (param i32)))
        (table funcref (elem $a))
        (func $a (export "indirect") (param i32) (call_indirect (param i32) (local.get 0) (i32.const 0)))
        (func $b (export "mutual") (param i32) (call $c (local.get 0)))
        (func $c (param i32) (call $b (local.get 0)))
        (func $d (export "host") (param i32) (call $bounce (local.get 0)))
        (func $e (export "tail") (param i32) (return_call $e (local.get 0))))`,
      { imports: { h: { bounce: (n: number) => holder.back?.(n) } }, maxDepthWords: 20_000 },
    )
    holder.back = instance.exports['host'] as (n: number) => void
    for (const name of ['indirect', 'mutual', 'host', 'tail']) {
      assert.equal(instance.call(name, [0]).trap, 'stack overflow', name)
    }
  })

  it('is right again after an exception that crossed many frames', () => {
    const instance = metered(
      `(module (tag $t)
        (func $down (param i32) (if (i32.eqz (local.get 0)) (then (throw $t)))
          (call $down (i32.sub (local.get 0) (i32.const 1))))
        (func (export "f") (param i32)
          (loop $again
            (try (do (call $down (i32.const 20))) (catch $t))
            (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
            (br_if $again (local.get 0)))))`,
      { maxDepthWords: 600 },
    )
    assert.deepEqual(instance.call('f', [1000]).trap, undefined)
  })

  it('traps long before the stack of a worker of 4 MiB ends, whatever the shape of the frames', async () => {
    const operands = 500
    const text = `(module (global $n (export "n") (mut i32) (i32.const 0))
      (func $v (result f64) (f64.const 1))
      (func $fat (export "fat") (param f64) (result f64)
        (global.set $n (i32.add (global.get $n) (i32.const 1)))
        ${'(f64.mul (local.get 0) (call $v))'.repeat(operands)} (call $fat (f64.const 2))
        ${'(f64.add)'.repeat(operands)})
      (func $wide (export "wide") (param ${'i64 '.repeat(300)}) (result ${'i64 '.repeat(300)})
        (global.set $n (i32.add (global.get $n) (i32.const 1)))
        ${Array.from({ length: 300 }, (_, i) => `(local.get ${(i * 7) % 300})`).join(' ')} (call $wide))
      (func $thin (export "thin") (global.set $n (i32.add (global.get $n) (i32.const 1))) (call $thin)))`
    const { bytes } = meterModule(fromText(text), { prices: gas1Prices })
    const script = `const { parentPort, workerData } = require('node:worker_threads')
      const { exports: e } = new WebAssembly.Instance(new WebAssembly.Module(workerData))
      const out = []
      for (let i = 0; i < 40; i++) for (const name of ['fat', 'thin', 'wide']) {
        e.__gas.value = 10n ** 12n; e.__depth.value = 0; e.n.value = 0
        try { e[name](...Array(e[name].length).fill(name === 'wide' ? 1n : 1)) } catch (error) { out.push([name, error.name, e.n.value, String(e.__gas.value)].join(' ')) }
      }
      parentPort.postMessage([...new Set(out)].sort())`
    const inWorker = (stackSizeMb: number) =>
      new Promise<string[]>((resolve, reject) => {
        const worker = new Worker(script, { eval: true, workerData: bytes, resourceLimits: { stackSizeMb } })
        worker.once('message', resolve)
        worker.once('error', reject)
      })
    const [four, sixteen] = await Promise.all([inWorker(4), inWorker(16)])
    assert.equal(four.length, 3, four.join())
    assert.ok(four.every(line => line.includes('RuntimeError')))
    assert.deepEqual(four, sixteen)
  })
})

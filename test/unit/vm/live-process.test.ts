import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { VmMessage } from '../../../src/ports/vm.ts'
import { rootRules } from '../../../src/protocol/root-rule.ts'
import { LiveProcess } from '../../../src/vm/live-process.ts'
import type { PreparedModule } from '../../../src/vm/machine.ts'
import { wasmVm } from '../../../src/vm/wasm-vm.ts'
import { environmentOf, idOf, mebibytes, messageOf } from '../../support/modules/process.ts'
import { compileWat } from '../../support/modules/wat.ts'

const process = idOf('process')
const limits = { memoryBytes: mebibytes(4), gas: 10_000_000n }
const send = (nonce: number, action: Action): VmMessage => messageOf(process, nonce, { data: `!${action}` })

const actions = ['count', 'spread', 'grow', 'fail', 'trap', 'growAndFail', 'spin'] as const
type Action = (typeof actions)[number]

describe('vm/live-process', () => {
  let module: PreparedModule
  const open = (from = module): Promise<LiveProcess> =>
    LiveProcess.open(from, { environment: environmentOf(process), gas: limits.gas })

  before(async () => {
    module = wasmVm.prepare(await compileWat(ledger), 'ao-abi-1', limits)
  })

  it('has the state of a run that never saw what failed and what was only tried', async () => {
    const aStep = fc.record({ action: fc.constantFrom(...actions), dryRun: fc.boolean() })
    const steps = fc.array(aStep, { minLength: 5, maxLength: 60 })
    await fc.assert(
      fc.asyncProperty(steps, async steps => {
        const [live, clean] = [await open(), await open()]
        for (const [nonce, { action, dryRun }] of steps.entries()) {
          if (dryRun) await live.dryRun(send(nonce, action))
          else if ((await live.handle(send(nonce, action))).evaluation.error === undefined) {
            await clean.handle(send(nonce, action))
          }
        }
        assert.equal((await live.snapshot()).stateRoot, (await clean.snapshot()).stateRoot)
      }),
      { numRuns: 60, seed: 20_261_124 },
    )
  })

  it('gives a dry-run the state of now, and what a message of the same kind then gives', async () => {
    const live = await open()
    for (let nonce = 0; nonce < 5; nonce++) {
      const tried = await live.dryRun(send(nonce, 'count'))
      assert.deepEqual((await live.handle(send(nonce, 'count'))).evaluation, tried)
      assert.equal(tried.output, nonce + 1)
    }
  })

  it('names the root of the first message and then one after every 64, failed ones counted', async () => {
    const live = await open()
    const seen = new Map<number, string>()
    for (let nonce = 0; nonce < 200; nonce++) {
      const { stateRoot, stateNonce } = await live.handle(send(nonce, nonce % 3 === 0 ? 'fail' : 'count'))
      assert.equal(stateNonce, Math.floor(nonce / 64) * 64)
      if (stateNonce === nonce) assert.equal(stateRoot, (await live.snapshot()).stateRoot)
      assert.equal(seen.get(stateNonce) ?? stateRoot, stateRoot)
      seen.set(stateNonce, stateRoot)
    }
    assert.equal(new Set(seen.values()).size, 4)
  })

  it('names a root sooner when much gas was used, by failed messages too', async () => {
    const spins = Number(rootRules['gas-1'].everyGas / limits.gas)
    const live = await open({ ...module, rootRule: { ...module.rootRule, everyMessages: 10_000 } })
    for (let nonce = 0; nonce <= spins + 1; nonce++) {
      const step = await live.handle(send(nonce, 'spin'))
      assert.equal(step.evaluation.gasUsed, limits.gas)
      assert.equal(step.stateNonce, nonce < spins ? 0 : spins)
    }
  })
})

/** The answer is the count; what to do is told by the byte that follows `!` in the message. */
const ledger = String.raw`
(module
  (memory (export "memory") 2)
  (global $n (mut i32) (i32.const 0))
  (data (i32.const 0) "{\"ok\":true,\"response\":{\"Output\":    }}")
  (data (i32.const 64) "{\"ok\":false,\"error\":\"no\"}")
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func $is (param $at i32) (param $c i32) (param $d i32) (result i32)
    (i32.and
      (i32.eq (i32.load8_u offset=0 (local.get $at)) (local.get $c))
      (i32.eq (i32.load8_u offset=4 (local.get $at)) (local.get $d))))
  (func (export "handle") (param $at i32) (param $length i32) (result i64)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (block $found (loop $next
      (br_if $found (i32.eq (i32.load8_u (local.get $at)) (i32.const 33)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end)))))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    ;; spread: marks a page that depends on the count
    (if (call $is (local.get $at) (i32.const 115) (i32.const 97)) (then
      (i32.store (i32.add (i32.const 65536) (i32.mul (i32.rem_u (global.get $n) (i32.const 60)) (i32.const 1021)))
        (global.get $n))))
    ;; grow, growAndFail
    (if (i32.and (i32.eq (i32.load8_u (local.get $at)) (i32.const 103)) (i32.lt_u (memory.size) (i32.const 40))) (then
      (drop (memory.grow (i32.const 1)))
      (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)) (global.get $n))))
    (if (call $is (local.get $at) (i32.const 116) (i32.const 34)) (then unreachable)) ;; trap"
    (if (call $is (local.get $at) (i32.const 115) (i32.const 34)) (then (loop $l (br $l)))) ;; spin"
    (if (i32.or
          (i32.eq (i32.load8_u (local.get $at)) (i32.const 102)) ;; fail
          (call $is (local.get $at) (i32.const 103) (i32.const 65))) ;; growAndFail
      (then (return (i64.or (i64.shl (i64.const 64) (i64.const 32)) (i64.const 25)))))
    (i32.store8 (i32.const 32) (i32.add (i32.const 48) (i32.rem_u (i32.div_u (global.get $n) (i32.const 100)) (i32.const 10))))
    (if (i32.lt_u (global.get $n) (i32.const 100)) (then (i32.store8 (i32.const 32) (i32.const 32))))
    (i32.store8 (i32.const 33) (i32.add (i32.const 48) (i32.rem_u (i32.div_u (global.get $n) (i32.const 10)) (i32.const 10))))
    (if (i32.lt_u (global.get $n) (i32.const 10)) (then (i32.store8 (i32.const 33) (i32.const 32))))
    (i32.store8 (i32.const 34) (i32.add (i32.const 48) (i32.rem_u (global.get $n) (i32.const 10))))
    (i64.const 38)))
`

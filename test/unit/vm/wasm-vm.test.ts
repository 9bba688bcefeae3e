import assert from 'node:assert/strict'
import { hasCode } from '../../../src/lib/errors.ts'
import { echoFormat, echoModule } from '../../../src/modules/echo/echo.ts'
import { LiveProcess } from '../../../src/vm/live-process.ts'
import { wasmVm } from '../../../src/vm/wasm-vm.ts'
import { environmentOf, idOf, mebibytes, messageOf } from '../../support/modules/process.ts'
import { compileWat } from '../../support/modules/wat.ts'

const limits = { memoryBytes: mebibytes(1), gas: 100_000_000n }
const process = idOf('process')
const face = `(memory (export "memory") 1)
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))`
const idle = '(func (export "handle") (param i32 i32) (result i64) (i64.const 0))'

const prepare = async (wat: string) => wasmVm.prepare(await compileWat(`(module ${wat})`), echoFormat, limits)
const open = async (wat: string) =>
  LiveProcess.open(await prepare(wat), { environment: environmentOf(process), gas: limits.gas })

/** A `handle` that does something and then answers `{"ok":true,"response":{"Output":1}}`. */
const doing = (code: string): string => `
  (data (i32.const 16) "{\\"ok\\":true,\\"response\\":{\\"Output\\":1}}")
  (func (export "handle") (param i32 i32) (result i64) ${code} (i64.const ${(16n << 32n) | 35n}))`

describe('vm/wasm-vm', () => {
  const refused: Readonly<Record<string, string>> = {
    'an import other than ao.log': `(import "env" "clock" (func)) ${face} ${idle}`,
    'an imported memory': `(import "ao" "log" (memory 1)) ${face.replace(/\(memory.*\n/, '')} ${idle}`,
    'a start function': `${face} ${idle} (func $begin) (start $begin)`,
    'no memory': `(func (export "alloc") (param i32) (result i32) (i32.const 0)) ${idle}`,
    'no handle': face,
    'more memory than the Process may have': `${face.replace('1)', '17)')} ${idle}`,
    'data beyond its memory': `${face} ${idle} (data (i32.const 65536) "x")`,
  }
  for (const [rule, wat] of Object.entries(refused)) {
    it(`refuses a module with ${rule}`, async () => {
      await assert.rejects(open(wat), { code: 'UNSUPPORTED_MODULE' })
    })
  }

  it('refuses bytes that are cut short anywhere, without another kind of failure', () => {
    const bytes = echoModule()
    // A module may end after any whole section; without its data this one is still a module.
    let accepted = 0
    for (let length = 0; length < bytes.length; length++) {
      try {
        wasmVm.prepare(bytes.subarray(0, length), echoFormat, limits)
        accepted++
      } catch (error) {
        assert.ok(hasCode(error, 'UNSUPPORTED_MODULE'), `${length} bytes: ${error}`)
      }
    }
    assert.equal(accepted, 1)
  })

  it('takes immutable globals, ao.log and exported mutable integers', async () => {
    const globals = `(global i32 (i32.const 5)) (global (export "n") (mut i64) (i64.const 0))`
    await open(
      `(import "ao" "log" (func $log (param i32 i32))) ${face} ${globals} ${doing('(call $log (i32.const 0) (i32.const 1))')}`,
    )
  })

  it('runs _initialize once, before all messages, and not again for an instance that goes on', async () => {
    const wat = `(global $n (mut i32) (i32.const 0)) ${face}
      (func (export "_initialize") (global.set $n (i32.add (global.get $n) (i32.const 7))))
      ${doing('(if (i32.ne (global.get $n) (i32.const 7)) (then unreachable))')}`
    const live = await open(wat)
    for (const nonce of [0, 1]) assert.equal((await live.handle(messageOf(process, nonce))).evaluation.error, undefined)
    const again = await prepare(wat)
    const second = await LiveProcess.open(again, {
      environment: environmentOf(process),
      gas: limits.gas,
      image: await live.snapshot(),
    })
    assert.equal((await second.handle(messageOf(process, 2))).evaluation.error, undefined)
  })

  it('refuses a module whose _initialize traps', async () => {
    await assert.rejects(open(`${face} ${idle} (func (export "_initialize") unreachable)`), {
      code: 'UNSUPPORTED_MODULE',
    })
    await assert.rejects(open(`${face} ${idle} (func (export "_initialize") (loop $l (br $l)))`), {
      code: 'UNSUPPORTED_MODULE',
    })
  })

  it('puts the state of a hidden global in the root, and back after a failure', async () => {
    const count = `
      (global $n (mut i32) (i32.const 0))
      (global.set $n (i32.add (global.get $n) (i32.const 1)))
      (if (i32.eq (global.get $n) (i32.const 2)) (then unreachable))`
    const [declaration, ...code] = count.trim().split('\n')
    const live = await open(`${declaration} ${face} ${doing(code.join('\n'))}`)
    const first = await live.handle(messageOf(process, 0))
    assert.equal(first.evaluation.error, undefined)
    // Were the global not put back, the third message would see 3 and pass.
    for (const nonce of [1, 2]) {
      const failed = await live.handle(messageOf(process, nonce))
      assert.equal(failed.evaluation.error, 'trap')
      assert.equal((await live.snapshot()).stateRoot, first.stateRoot)
    }
  })

  it('stops a module at its memory limit though it would take more', async () => {
    const grow = `(if (i32.ne (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
      (if (i32.eq (memory.grow (i32.const 15)) (i32.const -1)) (then unreachable))`
    const live = await open(`${face} ${doing(grow)}`)
    assert.equal((await live.handle(messageOf(process, 0))).evaluation.error, undefined)
  })

  it('charges all gas to a message that runs out of it, the same each time, and goes on with the next', async () => {
    const live = await open(`${face} ${doing('(if (i32.eqz (i32.load8_u (i32.const 9))) (then (loop $l (br $l))))')}`)
    const [first, second] = [await live.handle(messageOf(process, 0)), await live.handle(messageOf(process, 1))]
    for (const { evaluation } of [first, second]) {
      assert.deepEqual([evaluation.error, evaluation.gasUsed], ['out of gas', limits.gas])
    }
    assert.equal((await live.snapshot()).stateRoot, first.stateRoot)
    const cheap = await open(`${face} ${doing('(nop)')}`)
    const { evaluation } = await cheap.handle(messageOf(process, 0))
    assert.ok(evaluation.gasUsed > 0n && evaluation.gasUsed < 1000n, `${evaluation.gasUsed}`)
  })

  const faults: Readonly<Record<string, [string, string]>> = {
    'an answer that is not JSON': ['(func (export "handle") (param i32 i32) (result i64) (i64.const 4))', 'trap'],
    'an answer outside its memory': ['(func (export "handle") (param i32 i32) (result i64) (i64.const -1))', 'trap'],
    'an answer of the wrong type': ['(func (export "handle") (param i32 i32))', 'trap'],
    'endless recursion': [
      '(func $f (export "handle") (param i32 i32) (result i64) (call $f (i32.const 0) (i32.const 0)))',
      'stack overflow',
    ],
    'a loop without end': [doing('(loop $l (br $l))'), 'out of gas'],
    'a division by zero': [doing('(drop (i32.div_u (i32.const 1) (i32.const 0)))'), 'trap'],
  }
  for (const [fault, [wat, word]] of Object.entries(faults)) {
    it(`gives the Error "${word}" for ${fault}`, async () => {
      const live = await open(`${face} ${wat}`)
      assert.equal((await live.handle(messageOf(process, 0))).evaluation.error, word)
    })
  }
})

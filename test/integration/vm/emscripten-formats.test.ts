import assert from 'node:assert/strict'
import { existsSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { aosVm } from '../../../src/vm/aos-vm.ts'
import { LiveProcess } from '../../../src/vm/live-process.ts'
import { emscriptenFormats, emscriptenWat } from '../../support/modules/emscripten.ts'
import { environmentOf, idOf, mebibytes, messageOf } from '../../support/modules/process.ts'
import { compileWat } from '../../support/modules/wat.ts'

const limits = { memoryBytes: mebibytes(2), gas: 10n ** 10n }
const process_ = idOf('process')
const file = join(tmpdir(), `aonet-shell-${process.pid}`)

/** What patches of the loader would change. */
const realm = () => [
  Date.now,
  Date,
  Math.random,
  console.log,
  console.error,
  WebAssembly.compile,
  performance.now,
  process.hrtime,
  process.listenerCount('uncaughtException'),
  process.listenerCount('unhandledRejection'),
  Reflect.ownKeys(globalThis).length,
]

describe('emscripten modules of every format', () => {
  let atFirst: unknown[] = []
  before(() => {
    atFirst = realm()
  })
  after(() => rmSync(file, { force: true }))

  for (const names of emscriptenFormats) {
    const { format } = names
    let instances = 0
    const open = async (code: string): Promise<LiveProcess> => {
      const module = aosVm.prepare(await compileWat(emscriptenWat(names, { code, file })), format, limits)
      instances = 0
      const instantiate: typeof module.instantiate = (...given) => {
        instances++
        return module.instantiate(...given)
      }
      const setup = { environment: environmentOf(process_), gas: limits.gas }
      return LiveProcess.open({ ...module, instantiate }, setup)
    }
    const output = async (live: LiveProcess, nonce = 0) =>
      (await live.handle(messageOf(process_, nonce))).evaluation.output

    it(`${format}: asks for a shell in vain`, async () => {
      assert.equal(await output(await open('(i32.lt_s (call $system (i32.const 512)) (i32.const 0))')), '1')
      assert.equal(existsSync(file), false)
    })

    it(`${format}: opens no file that would live beside the memory`, async () => {
      const code = '(i32.gt_s (call $open (i32.const -100) (i32.const 600) (i32.const 66) (i32.const 0)) (i32.const 2))'
      assert.equal(await output(await open(code)), '0')
    })

    it(`${format}: writes to nowhere, and is told that all of it was written`, async () => {
      const code = `
        (i32.store (i32.const 700) (i32.const 512)) (i32.store (i32.const 704) (i32.const 5))
        (drop (call $write (i32.const 1) (i32.const 700) (i32.const 1) (i32.const 720)))
        (i32.load (i32.const 720))`
      assert.equal(await output(await open(code)), '5')
    })

    if (names.imports['now'] !== '') {
      it(`${format}: reads a clock that starts anew with every message`, async () => {
        const code = '(drop (call $now)) (i32.sub (i32.trunc_f64_u (call $now)) (i32.const 10000))'
        const live = await open(code)
        assert.deepEqual([await output(live), await output(live, 1)], ['1', '1'])
      })
    }

    if (names.imports['setHigh'] !== undefined) {
      it(`${format}: has no word beside its memory that outlasts a message`, async () => {
        const live = await open(`
          (if (i32.eq (call $action) (i32.const 97)) (then (call $setHigh (i32.const 7)))) (call $getHigh)`)
        const tell = async (data: string) =>
          (await live.handle(messageOf(process_, 0, { data: `!${data}` }))).evaluation.output
        assert.deepEqual([await tell('a'), await tell('b')], ['7', '0'])
      })
    }

    it(`${format}: grows its memory up to the limit and not beyond`, async () => {
      const code = `
        (i32.store8 (i32.const 730) (call $resize (i32.const 2097152)))
        (i32.add (i32.mul (call $resize (i32.const 2097153)) (i32.const 2)) (i32.load8_u (i32.const 730)))`
      assert.equal(await output(await open(code)), '1')
    })

    it(`${format}: traps when it wants to end the program`, async () => {
      const live = await open('(call $exit (i32.const 0)) (i32.const 1)')
      const { evaluation } = await live.handle(messageOf(process_, 0))
      assert.equal(evaluation.error, 'trap')
    })

    it(`${format}: goes on after whatever ended a message, and in the same instance if its glue did not stop`, async () => {
      const does = (letter: string, what: string) =>
        `(if (i32.eq (call $action) (i32.const ${letter.charCodeAt(0)})) (then ${what}))`
      const live = await open(`
        (i32.store (i32.const 700) (i32.add (i32.load (i32.const 700)) (i32.const 1)))
        ${does('s', '(loop $spin (br $spin))')} ${does('t', 'unreachable')}
        ${does('a', '(call $abort)')} ${does('x', '(call $exit (i32.const 1))')} (i32.load (i32.const 700))`)
      const errors = { s: 'out of gas', t: 'trap', a: 'trap', x: 'trap' }
      let good = 0
      for (const [action, error] of [...Object.entries(errors), ...Object.entries(errors)]) {
        const tell = (data: string) => live.handle(messageOf(process_, 0, { data }))
        const before = instances
        assert.equal((await tell(`!${action}`)).evaluation.error, error)
        assert.equal((await tell('!g')).evaluation.output, String(++good), `after ${action}`)
        assert.equal(instances - before, 'st'.includes(action) ? 0 : 1, `instances after ${action}`)
      }
    })

    it(`${format}: refuses what traps before its first message`, async () => {
      const bytes = await compileWat(emscriptenWat(names, { code: '(i32.const 0)', ctors: 'unreachable' }))
      const opened = LiveProcess.open(aosVm.prepare(bytes, format, limits), {
        environment: environmentOf(process_),
        gas: limits.gas,
      })
      await assert.rejects(opened, { code: 'UNSUPPORTED_MODULE' })
    })

    it(`${format}: refuses a module without the exports of its format`, async () => {
      const bytes = await compileWat('(module (memory (export "other") 1))')
      const opened = LiveProcess.open(aosVm.prepare(bytes, format, limits), {
        environment: environmentOf(process_),
        gas: limits.gas,
      })
      await assert.rejects(opened, { code: 'UNSUPPORTED_MODULE' })
    })

    it(`${format}: refuses an import that the format does not offer`, async () => {
      const bytes = await compileWat('(module (import "env" "host_secrets" (func)) (memory (export "memory") 1))')
      const opened = LiveProcess.open(aosVm.prepare(bytes, format, limits), {
        environment: environmentOf(process_),
        gas: limits.gas,
      })
      await assert.rejects(opened, { code: 'UNSUPPORTED_MODULE' })
    })
  }

  it('leaves the realm they are run from as it was', () => {
    assert.deepEqual(realm(), atFirst)
  })
})

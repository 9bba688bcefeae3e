import assert from 'node:assert/strict'
import { existsSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { aosVm } from '../../../src/vm/aos-vm.ts'
import { LiveProcess } from '../../../src/vm/live-process.ts'
import { environmentOf, idOf, mebibytes, messageOf } from '../../support/modules/process.ts'
import { compileWat } from '../../support/modules/wat.ts'

const limits = { memoryBytes: mebibytes(2), gas: 10n ** 10n }
const process_ = idOf('process')
const file = join(tmpdir(), `aonet-shell-${process.pid}`)

/** What a format calls the things that a module must export, and those that the test's module imports. */
interface Names {
  readonly format: string
  readonly imports: { readonly env: string; readonly wasi: string; readonly [name: string]: string }
  readonly exports: Readonly<Record<string, string>>
}

const plainExports = Object.fromEntries(
  ['memory', '__wasm_call_ctors', 'handle', '__indirect_function_table', 'malloc', 'main'].map(name => [name, name]),
)
const plainImports = { env: 'env', wasi: 'wasi_snapshot_preview1', write: 'fd_write', resize: 'emscripten_resize_heap' }
const formats: readonly Names[] = [
  {
    format: 'wasm32-unknown-emscripten',
    imports: { env: 'a', wasi: 'a', system: 'm', now: '', write: 'f', open: 'g', resize: 'q', exit: 'l' },
    exports: {
      memory: 'E',
      __wasm_call_ctors: 'F',
      handle: 'G',
      main: 'H',
      __indirect_function_table: 'I',
      malloc: 'J',
      errno: 'K',
      stackSave: 'M',
      stackRestore: 'N',
      stackAlloc: 'O',
    },
  },
  {
    format: 'wasm32-unknown-emscripten2',
    imports: { ...plainImports, system: 'system', now: '_emscripten_date_now', open: '__syscall_openat', exit: 'exit' },
    exports: {
      ...plainExports,
      errno: '__errno_location',
      stackSave: 'stackSave',
      stackRestore: 'stackRestore',
      stackAlloc: 'stackAlloc',
    },
  },
  {
    format: 'wasm32-unknown-emscripten3',
    imports: {
      ...plainImports,
      system: '_emscripten_system',
      now: 'emscripten_date_now',
      open: '__syscall_openat',
      exit: 'exit',
    },
    exports: { ...plainExports, stackSave: 'stackSave', stackRestore: 'stackRestore', stackAlloc: 'stackAlloc' },
  },
  {
    format: 'wasm32-unknown-emscripten4',
    imports: {
      ...plainImports,
      system: '_emscripten_system',
      now: 'emscripten_date_now',
      open: '__syscall_openat',
      exit: 'exit',
    },
    exports: {
      ...plainExports,
      stackSave: 'emscripten_stack_get_current',
      stackRestore: '_emscripten_stack_restore',
      stackAlloc: '_emscripten_stack_alloc',
    },
  },
]

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

  for (const names of formats) {
    const { format } = names
    const open = async (code: string): Promise<LiveProcess> =>
      LiveProcess.open(aosVm.prepare(await compileWat(moduleWat(names, code)), format, limits), {
        environment: environmentOf(process_),
        gas: limits.gas,
      })
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

    it(`${format}: refuses what traps before its first message`, async () => {
      const bytes = await compileWat(moduleWat(names, '(i32.const 0)', 'unreachable'))
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

/** A module whose answer to a message is Output = one digit, which `code` computes. */
function moduleWat({ imports, exports }: Names, code: string, ctors = ''): string {
  const name = (key: string): string => exports[key] ?? key
  const clock = imports['now'] ? `(import "${imports.env}" "${imports['now']}" (func $now (result f64)))` : ''
  return `(module
    (import "${imports.env}" "${imports['system']}" (func $system (param i32) (result i32)))
    (import "${imports.env}" "${imports['open']}" (func $open (param i32 i32 i32 i32) (result i32)))
    (import "${imports.env}" "${imports['resize']}" (func $resize (param i32) (result i32)))
    (import "${imports.env}" "${imports['exit']}" (func $exit (param i32)))
    (import "${imports.wasi}" "${imports['write']}" (func $write (param i32 i32 i32 i32) (result i32)))
    ${clock}
    (memory (export "${name('memory')}") 4)
    (table (export "${name('__indirect_function_table')}") 1 funcref)
    (data (i32.const 512) "touch ${file}\\00")
    (data (i32.const 600) "/made\\00")
    (data (i32.const 800) "{\\"ok\\":true,\\"response\\":{\\"Output\\":\\"0\\"}}\\00")
    (func (export "${name('__wasm_call_ctors')}") ${ctors})
    (func (export "${name('main')}") (param i32 i32) (result i32) (i32.const 0))
    (func (export "${name('malloc')}") (param i32) (result i32) (i32.const 65536))
    (func (export "${name('errno')}") (result i32) (i32.const 900))
    (func (export "${name('stackSave')}") (result i32) (i32.const 200000))
    (func (export "${name('stackRestore')}") (param i32))
    (func (export "${name('stackAlloc')}") (param i32) (result i32) (i32.const 140000))
    ${['emscripten_stack_init'].map(each => `(func (export "${each}"))`).join('')}
    ${['emscripten_stack_get_free', 'emscripten_stack_get_base', 'emscripten_stack_get_end'].map(each => `(func (export "${each}") (result i32) (i32.const 131072))`).join('')}
    ${exports['stackSave'] === 'emscripten_stack_get_current' ? '' : '(func (export "emscripten_stack_get_current") (result i32) (i32.const 131072))'}
    (func (export "fflush") (param i32) (result i32) (i32.const 0))
    (func (export "sbrk") (param i32) (result i32) (i32.const 0))
    (func $code (result i32) ${code})
    (func (export "${name('handle')}") (param i32 i32) (result i32)
      (i32.store8 (i32.const 833) (i32.add (i32.const 48) (call $code)))
      (i32.const 800)))`
}

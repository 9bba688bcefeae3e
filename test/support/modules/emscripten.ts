/** What a format calls the things that a module must export, and those that the test's module imports. */
export interface EmscriptenNames {
  readonly format: string
  readonly imports: { readonly env: string; readonly wasi: string; readonly [name: string]: string }
  readonly exports: Readonly<Record<string, string>>
}

const plainExports = Object.fromEntries(
  ['memory', '__wasm_call_ctors', 'handle', '__indirect_function_table', 'malloc', 'main'].map(name => [name, name]),
)
const plainImports = { env: 'env', wasi: 'wasi_snapshot_preview1', write: 'fd_write', resize: 'emscripten_resize_heap' }
export const emscriptenFormats: readonly EmscriptenNames[] = [
  {
    format: 'wasm32-unknown-emscripten',
    imports: {
      ...{ env: 'a', wasi: 'a', system: 'm', now: '', write: 'f', open: 'g', resize: 'q', exit: 'l', abort: 'D' },
      ...{ setHigh: 'b', getHigh: 'h' },
    },
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
    imports: {
      ...plainImports,
      system: 'system',
      setHigh: 'setTempRet0',
      getHigh: 'getTempRet0',
      now: '_emscripten_date_now',
      open: '__syscall_openat',
      exit: 'exit',
      abort: 'abort',
    },
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
      abort: 'abort',
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
      abort: '_abort_js',
    },
    exports: {
      ...plainExports,
      stackSave: 'emscripten_stack_get_current',
      stackRestore: '_emscripten_stack_restore',
      stackAlloc: '_emscripten_stack_alloc',
    },
  },
]

export interface EmscriptenCode {
  /** Gives an i32. `$action` gives the byte that follows `!` in the message. */
  readonly code: string
  readonly ctors?: string
  /** For the shell to make. */
  readonly file?: string
}

/** A module whose answer to a message is Output = one digit, which `code` computes. */
export function emscriptenWat(
  { imports, exports }: EmscriptenNames,
  { code, ctors = '', file = '/made' }: EmscriptenCode,
): string {
  const name = (key: string): string => exports[key] ?? key
  const clock = imports['now'] ? `(import "${imports.env}" "${imports['now']}" (func $now (result f64)))` : ''
  const high = imports['setHigh']
    ? `(import "${imports.env}" "${imports['setHigh']}" (func $setHigh (param i32)))
       (import "${imports.env}" "${imports['getHigh']}" (func $getHigh (result i32)))`
    : ''
  return `(module
    (import "${imports.env}" "${imports['system']}" (func $system (param i32) (result i32)))
    (import "${imports.env}" "${imports['open']}" (func $open (param i32 i32 i32 i32) (result i32)))
    (import "${imports.env}" "${imports['resize']}" (func $resize (param i32) (result i32)))
    (import "${imports.env}" "${imports['exit']}" (func $exit (param i32)))
    (import "${imports.env}" "${imports['abort']}" (func $abort))
    (import "${imports.wasi}" "${imports['write']}" (func $write (param i32 i32 i32 i32) (result i32)))
    ${clock} ${high}
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
    (func (export "${name('stackAlloc')}") (param i32) (result i32)
      (global.set $next (i32.sub (i32.const 290000) (global.get $next))) (global.get $next))
    ${['emscripten_stack_init'].map(each => `(func (export "${each}"))`).join('')}
    ${['emscripten_stack_get_free', 'emscripten_stack_get_base', 'emscripten_stack_get_end'].map(each => `(func (export "${each}") (result i32) (i32.const 131072))`).join('')}
    ${exports['stackSave'] === 'emscripten_stack_get_current' ? '' : '(func (export "emscripten_stack_get_current") (result i32) (i32.const 131072))'}
    (func (export "fflush") (param i32) (result i32) (i32.const 0))
    (func (export "sbrk") (param i32) (result i32) (i32.const 0))
    ;; The message and the environment, in turns.
    (global $next (mut i32) (i32.const 150000))
    (func $action (result i32) (local $at i32)
      (local.set $at (i32.const 140000))
      (loop $on
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $on (i32.ne (i32.load8_u (i32.sub (local.get $at) (i32.const 1))) (i32.const 33))))
      (i32.load8_u (local.get $at)))
    (func $code (result i32) ${code})
    (func (export "${name('handle')}") (param i32 i32) (result i32)
      (i32.store8 (i32.const 833) (i32.add (i32.const 48) (call $code)))
      (i32.const 800)))`
}

import { toUtf8, utf8 } from '../lib/bytes.ts'
import type { VmEnvironment, VmLimits, VmMessage } from '../ports/vm.ts'
import { compile, growMemory, instantiate, maxMemoryBytes } from './engine.ts'
import { plainFormats } from './formats.ts'
import { type Answer, type Machine, type PreparedModule, trapped, trapWord, type Vm } from './machine.ts'
import { capMemory, type ModuleShape, readShape, unsupported } from './wasm-binary.ts'

/**
 * Plain Wasm, `ao-abi-1`. Exports: `memory`, `alloc(n: i32) -> i32`, `handle(pointer: i32, length: i32) -> i64`, which
 * is pointer << 32 | length of the answer. Input: JSON `{ msg, env }`; answer: JSON `{ ok: true, response }` or
 * `{ ok: false, error }`. Imports: none but `ao.log(pointer: i32, length: i32)`. All state is in memory and in exported
 * mutable globals of type i32 or i64.
 */
export const wasmVm: Vm = {
  formats: plainFormats,
  prepare(bytes: Uint8Array, _format: string, limits: VmLimits): PreparedModule {
    const shape = readShape(bytes)
    checkShape(shape)
    const limitBytes = Math.min(limits.memoryBytes, maxMemoryBytes)
    const module = compile(capMemory(bytes, shape, limitBytes))
    checkFace(module)
    return { instantiate: async (environment, memoryBytes) => start(module, shape, environment, memoryBytes) }
  },
}

function checkShape({ memory, globals, hasStart }: ModuleShape): void {
  if (hasStart) throw unsupported('the module has a start function, which would run before any message')
  if (memory.wide) throw unsupported('ao-abi-1 has 32-bit memories')
  for (const [index, { mutable, exportName, type }] of globals.entries()) {
    if (!mutable) continue
    if (exportName === undefined) throw unsupported('a mutable global that is not exported would be lost', { index })
    if (type === 'other') throw unsupported('a mutable global must be an i32 or an i64', { global: exportName })
  }
}

function checkFace(module: WebAssembly.Module): void {
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (from !== 'ao' || name !== 'log' || kind !== 'function') {
      throw unsupported('the module imports something other than ao.log', { import: `${from}.${name}` })
    }
  }
  const exports = new Map(WebAssembly.Module.exports(module).map(({ name, kind }) => [name, kind]))
  for (const [name, kind] of [
    ['memory', 'memory'],
    ['alloc', 'function'],
    ['handle', 'function'],
  ] as const) {
    if (exports.get(name) !== kind) throw unsupported('the module does not export what ao-abi-1 asks for', { name })
  }
}

/** What a module logs is no part of its result, and what it could fill a disk with is not kept. */
const imports = { ao: { log: () => undefined } }

function start(
  module: WebAssembly.Module,
  { globals }: ModuleShape,
  environment: VmEnvironment,
  memoryBytes = 0,
): Machine {
  const { exports } = instantiate(module, imports)
  const memory = exports['memory'] as WebAssembly.Memory
  growMemory(memory, memoryBytes)
  return {
    memory,
    globals: globals.flatMap(({ mutable, exportName }) =>
      mutable && exportName !== undefined ? [exports[exportName] as WebAssembly.Global] : [],
    ),
    call: async message => call(exports, memory, message, environment),
  }
}

function call(
  exports: WebAssembly.Exports,
  memory: WebAssembly.Memory,
  message: VmMessage,
  environment: VmEnvironment,
): Answer {
  const alloc = exports['alloc'] as (length: number) => unknown
  const handle = exports['handle'] as (pointer: number, length: number) => unknown
  try {
    const input = utf8(JSON.stringify({ msg: message, env: environment }))
    const pointer = Number(alloc(input.length)) >>> 0
    new Uint8Array(memory.buffer).set(input, pointer)
    const packed = BigInt.asUintN(64, BigInt(handle(pointer, input.length) as bigint))
    const answer = new Uint8Array(memory.buffer, Number(packed >> 32n), Number(packed & 0xffff_ffffn))
    return parseAnswer(JSON.parse(toUtf8(answer)))
  } catch (thrown) {
    return trapped(trapWord(thrown, false))
  }
}

function parseAnswer(answer: { ok?: unknown; response?: unknown; error?: unknown } | null): Answer {
  if (answer?.ok === true) return { response: answer.response, trapped: false }
  return { response: { Error: answer?.error || 'the module gave no answer' }, trapped: false }
}

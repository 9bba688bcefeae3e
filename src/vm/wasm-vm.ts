import { toUtf8, utf8 } from '../lib/bytes.ts'
import type { VmEnvironment, VmLimits } from '../ports/vm.ts'
import { growMemory, instantiate, maxMemoryBytes } from './engine.ts'
import { plainFormats } from './formats.ts'
import { type Answer, type Machine, type PreparedModule, trapped, type Vm } from './machine.ts'
import type { ModuleShape } from './meter/module-shape.ts'
import type { MeteredFiles } from './metered-files.ts'
import { GasMeter, type MeteredModule, prepareMetered, stateGlobals } from './metered-module.ts'
import { unsupported } from './wasm-binary.ts'

/**
 * Plain Wasm, `ao-abi-1`. Exports: `memory`, `alloc(n: i32) -> i32`, `handle(pointer: i32, length: i32) -> i64`, which
 * is pointer << 32 | length of the answer. Input: JSON `{ msg, env }`; answer: JSON `{ ok: true, response }` or
 * `{ ok: false, error }`. Imports: none but `ao.log(pointer: i32, length: i32)`. All state is in memory and in mutable
 * globals of number types. An export `_initialize()`, as compilers write it for libraries, runs once before all messages.
 */
export const wasmVm: Vm = {
  formats: plainFormats,
  prepare(bytes: Uint8Array, format: string, limits: VmLimits, kept?: MeteredFiles): PreparedModule {
    const limitBytes = Math.min(limits.memoryBytes, maxMemoryBytes)
    const metered = prepareMetered(bytes, { format, limitBytes, kept })
    checkShape(metered.shape)
    return this.revive(metered, format, limits)
  },
  revive(code: unknown): PreparedModule {
    const metered = code as MeteredModule
    return {
      rootRule: metered.rootRule,
      code,
      instantiate: async (environment, memoryBytes) => start(metered, environment, memoryBytes),
    }
  },
}

function checkShape({ hasStart, memory, imports, exports }: ModuleShape): void {
  if (hasStart) throw unsupported('the module has a start function, which would run before any message')
  if (memory?.index64) throw unsupported('ao-abi-1 has 32-bit memories')
  for (const { module: from, name, kind } of imports) {
    if (from !== 'ao' || name !== 'log' || kind !== 'function') {
      throw unsupported('the module imports something other than ao.log', { import: `${from}.${name}` })
    }
  }
  for (const [name, kind] of [
    ['memory', 'memory'],
    ['alloc', 'function'],
    ['handle', 'function'],
  ] as const) {
    if (!exports.some(entry => entry.name === name && entry.kind === kind)) {
      throw unsupported('the module does not export what ao-abi-1 asks for', { name })
    }
  }
}

/** What a module logs is no part of its result, and what it could fill a disk with is not kept. */
const imports = { ao: { log: () => undefined } }

/** Gas for `_initialize`: it is the module's, not the Process's. */
const initialGas = 1_000_000_000n

function start(metered: MeteredModule, environment: VmEnvironment, memoryBytes?: number): Machine {
  const { exports } = instantiate(metered.module, imports)
  const memory = exports['memory'] as WebAssembly.Memory
  const meter = new GasMeter(exports, metered)
  if (memoryBytes === undefined) initialize(exports, meter)
  else growMemory(memory, memoryBytes)
  return {
    memory,
    globals: stateGlobals(exports, metered.shape),
    async call(message, gas) {
      meter.fill(gas)
      try {
        return { ...call(exports, memory, JSON.stringify({ msg: message, env: environment })), gasUsed: meter.used }
      } catch (thrown) {
        return trapped(meter.trapWord(thrown, false), meter.used)
      }
    },
  }
}

/** @throws AoError `UNSUPPORTED_MODULE` if it traps. */
function initialize(exports: WebAssembly.Exports, meter: GasMeter): void {
  const { _initialize: run } = exports
  if (typeof run !== 'function') return
  meter.fill(initialGas)
  try {
    run()
  } catch (thrown) {
    throw unsupported('the module traps before its first message', { trap: meter.trapWord(thrown, false) })
  }
}

function call(exports: WebAssembly.Exports, memory: WebAssembly.Memory, json: string): Omit<Answer, 'gasUsed'> {
  const alloc = exports['alloc'] as (length: number) => unknown
  const handle = exports['handle'] as (pointer: number, length: number) => unknown
  const input = utf8(json)
  const pointer = Number(alloc(input.length)) >>> 0
  new Uint8Array(memory.buffer).set(input, pointer)
  const packed = BigInt.asUintN(64, BigInt(handle(pointer, input.length) as bigint))
  const answer = new Uint8Array(memory.buffer, Number(packed >> 32n), Number(packed & 0xffff_ffffn))
  return parseAnswer(JSON.parse(toUtf8(answer)))
}

function parseAnswer(answer: { ok?: unknown; response?: unknown; error?: unknown } | null): Omit<Answer, 'gasUsed'> {
  if (answer?.ok === true) return { response: answer.response, reusable: true }
  return { response: { Error: answer?.error || 'the module gave no answer' }, reusable: true }
}

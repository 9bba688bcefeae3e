import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { toUtf8, utf8 } from '../../../src/lib/bytes.ts'
import type { VmEnvironment, VmMessage } from '../../../src/ports/vm.ts'
import { aoImports } from '../../../src/vm/ao-imports.ts'
import { aoLoader } from '../../../src/vm/ao-loader.ts'
import { growMemory } from '../../../src/vm/engine.ts'
import { evalKinds, QuickJsContext } from '../../../src/vm/quickjs-context.ts'
import { enginePages, quickJsOf } from '../../../src/vm/quickjs-engine.ts'
import { quickJsImports } from '../../../src/vm/quickjs-imports.ts'
import { quickJsPrelude } from '../../../src/vm/quickjs-prelude.ts'

/** Evaluates a message on the module as it was published: nothing counts gas or depth, and nothing could be undone. */
export type RawMachine = (message: VmMessage) => Promise<unknown>

const compiled = (bytes: Uint8Array): WebAssembly.Module => new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>)

export async function rawPlain(bytes: Uint8Array, env: VmEnvironment): Promise<RawMachine> {
  const { exports } = new WebAssembly.Instance(compiled(bytes), { ao: { log: () => undefined } })
  const { memory, alloc, handle } = exports as {
    memory: WebAssembly.Memory
    alloc: (length: number) => number
    handle: (pointer: number, length: number) => bigint
  }
  return async msg => {
    const input = utf8(JSON.stringify({ msg, env }))
    const pointer = alloc(input.length) >>> 0
    new Uint8Array(memory.buffer).set(input, pointer)
    const packed = BigInt.asUintN(64, handle(pointer, input.length))
    const answer = new Uint8Array(memory.buffer, Number(packed >> 32n), Number(packed & 0xffff_ffffn))
    return JSON.parse(toUtf8(answer))
  }
}

export async function rawQuickJs(source: Uint8Array, env: VmEnvironment): Promise<RawMachine> {
  const engine = readFileSync(createRequire(import.meta.url).resolve('@jitl/quickjs-wasmfile-release-sync/wasm'))
  const memory = new WebAssembly.Memory(enginePages)
  const resize = (bytes: number): boolean => {
    growMemory(memory, Math.ceil(bytes / growthStepBytes) * growthStepBytes)
    return true
  }
  const { exports } = new WebAssembly.Instance(compiled(engine), quickJsImports({ memory, now: 0, resize }))
  const context = new QuickJsContext(quickJsOf(exports), memory)
  context.create(1 << 30)
  context.entry = context.evaluate(utf8(quickJsPrelude), 'prelude.js', evalKinds.script)
  context.free(context.enter(context.string(JSON.stringify(env))))
  context.free(context.enter(context.evaluate(source, 'module.js', evalKinds.module)))
  return async message => JSON.parse(context.take(context.enter(context.string(JSON.stringify(message)))))
}

export async function rawAos(bytes: Uint8Array, format: string, env: VmEnvironment): Promise<RawMachine> {
  const module = compiled(bytes)
  let wanted = 0
  let clock = 10_000
  const resize = (size: number): boolean => {
    wanted = Math.ceil(size / growthStepBytes) * growthStepBytes
    return true
  }
  const handle = await aoLoader()(
    (glue, receive) => {
      const host = { highHalf: 0, tick: () => clock++, resize, memory: undefined as unknown as WebAssembly.Memory }
      const { exports } = new WebAssembly.Instance(module, aoImports(module, glue, host))
      host.memory = exports['memory'] as WebAssembly.Memory
      const grow = (): void => growMemory(host.memory, wanted)
      return receive({ exports: { ...exports, memory: withGrow(host.memory, grow) } })
    },
    {
      format,
      computeLimit: Number.MAX_SAFE_INTEGER,
      memoryLimit: '1-gb',
      extensions: [],
      UNSAFE_MEMORY: true,
      thisProgram: 'ao',
    },
  )
  return message => {
    clock = 10_000
    return handle(null, message, env)
  }
}

const growthStepBytes = 4 << 20

const withGrow = (memory: WebAssembly.Memory, grow: () => void): object => ({
  get buffer(): ArrayBuffer {
    return memory.buffer as ArrayBuffer
  },
  grow,
})

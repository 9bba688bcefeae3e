import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import type { VmEnvironment, VmMessage } from '../../../src/ports/vm.ts'
import { parseEvaluation } from '../../../src/protocol/result.ts'
import { aoImports } from '../../../src/vm/ao-imports.ts'
import { type AoHandle, aoLoader } from '../../../src/vm/ao-loader.ts'
import { aosVm } from '../../../src/vm/aos-vm.ts'
import { growMemory } from '../../../src/vm/engine.ts'
import { LiveProcess } from '../../../src/vm/live-process.ts'
import type { Machine } from '../../../src/vm/machine.ts'
import { pagesOf } from '../../../test/support/modules/watched.ts'

// One way to evaluate aos, in a thread of its own: `ours`; `bare`, a live instance that counts no gas and could undo
// nothing; `stock`, the loader driven as the reference CU drives it, with this host's clock, growth of memory and no
// shell, because else its state could not be compared.

export interface EvalSetup {
  readonly way: 'ours' | 'bare' | 'stock'
  readonly bytes: Uint8Array
  readonly format: string
  readonly environment: VmEnvironment
  readonly gas: bigint
  readonly memoryBytes: number
}
export type EvalRequest = { readonly messages: readonly VmMessage[] } | 'state'
export interface EvalTimes {
  /** From message to result, for each message. */
  readonly ms: readonly number[]
  /** Processor time of this thread for all of them: what a busy machine does not change. */
  readonly cpuMs: number
  /** JSON of each evaluation but for the gas. */
  readonly results: readonly string[]
}

type Way = {
  readonly handle: (message: VmMessage) => Promise<unknown>
  readonly memory: () => Uint8Array
}
type Glue = Record<string, Record<string, WebAssembly.ImportValue>>

const setup = workerData as EvalSetup
const growthStepBytes = 4 << 20

async function ours({ bytes, format, environment, gas, memoryBytes }: EvalSetup): Promise<Way> {
  let machine: Machine | undefined
  const prepared = aosVm.prepare(bytes, format, { gas, memoryBytes })
  const module: typeof prepared = {
    ...prepared,
    instantiate: async (...given) => {
      machine = await prepared.instantiate(...given)
      return machine
    },
  }
  const live = await LiveProcess.open(module, { environment, gas })
  return {
    handle: async message => (await live.handle(message)).evaluation,
    memory: () => new Uint8Array(machine?.memory.buffer ?? new ArrayBuffer(0)),
  }
}

async function bare({ bytes, format, environment }: EvalSetup): Promise<Way> {
  const module = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>)
  let memory: WebAssembly.Memory | undefined
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
      memory = exports['memory'] as WebAssembly.Memory
      host.memory = memory
      return receive({ exports: { ...exports, memory: stepped(memory, () => wanted) } })
    },
    {
      ...{ format, computeLimit: Number.MAX_SAFE_INTEGER, memoryLimit: '1-gb', extensions: [] },
      ...{ UNSAFE_MEMORY: true, thisProgram: 'ao' },
    },
  )
  return {
    handle: message => {
      clock = 10_000
      return handle(null, message, environment)
    },
    memory: () => new Uint8Array(memory?.buffer ?? new ArrayBuffer(0)),
  }
}

const stepped = (memory: WebAssembly.Memory, wanted: () => number): object => ({
  get buffer(): ArrayBuffer {
    return memory.buffer as ArrayBuffer
  },
  grow: () => growMemory(memory, wanted()),
})

async function stock({ bytes, format, environment }: EvalSetup): Promise<Way> {
  type Loader = (hook: (glue: Glue, receive: (given: object) => unknown) => unknown, options: object) => unknown
  const loader = createRequire(import.meta.url)('@permaweb/ao-loader') as Loader
  const module = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>)
  let [memory, wanted, clock] = [null as Uint8Array | null, 0, 0]
  Date.now = () => clock++
  const open = () =>
    loader(
      (glue, receive) => {
        const env: Glue[string] = { ...glue['env'], _emscripten_system: () => -1 }
        const resize = env['emscripten_resize_heap'] as (size: number) => unknown
        env['emscripten_resize_heap'] = (size: number) => {
          wanted = Math.ceil((size >>> 0) / growthStepBytes) * growthStepBytes
          return resize(size)
        }
        for (const call of ['open', 'read', 'close']) env[`__asyncjs__weavedrive_${call}`] = () => 0
        const { exports } = new WebAssembly.Instance(module, { ...glue, env })
        return receive({
          exports: { ...exports, memory: stepped(exports['memory'] as WebAssembly.Memory, () => wanted) },
        })
      },
      { format, computeLimit: 9e12, memoryLimit: '1-gb', extensions: [], thisProgram: 'ao' },
    )
  type StockHandle = (memory: Uint8Array | null, message: VmMessage, env: VmEnvironment) => ReturnType<AoHandle>
  let handle: StockHandle | undefined
  return {
    handle: async message => {
      handle ??= (await open()) as StockHandle
      clock = 10_000
      wanted = memory?.length ?? 0
      try {
        const { Memory, ...result } = await handle(memory, message, environment)
        if (result['Error']) handle = undefined
        else memory = Memory as Uint8Array
        return result
      } catch (error) {
        handle = undefined
        return { Error: String(error) }
      }
    },
    memory: () => memory ?? new Uint8Array(0),
  }
}

const way = await { ours, bare, stock }[setup.way](setup)
const plain = (result: unknown): string => {
  const { gasUsed: _, ...evaluation } =
    setup.way === 'ours' ? (result as { gasUsed: bigint }) : parseEvaluation(result, 0n)
  return JSON.stringify(evaluation)
}

/** Of this thread, where Linux tells it; elsewhere the clock must do. */
function cpuMs(): number {
  try {
    return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]) / 1e6
  } catch {
    return performance.now()
  }
}

parentPort?.on('message', async (request: EvalRequest) => {
  if (request === 'state') return parentPort?.postMessage(pagesOf(way.memory()))
  const times: { ms: number[]; results: string[]; cpuMs: number } = { ms: [], results: [], cpuMs: 0 }
  const outcomes: unknown[] = []
  const cpu = cpuMs()
  for (const message of request.messages) {
    const start = performance.now()
    const result = await way.handle(message)
    times.ms.push(performance.now() - start)
    outcomes.push(result)
  }
  times.cpuMs = cpuMs() - cpu
  times.results.push(...outcomes.map(plain))
  parentPort?.postMessage(times)
})
parentPort?.postMessage('ready')

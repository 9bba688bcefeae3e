import { createRequire } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import { growMemory } from '../../../src/vm/engine.ts'
import type { StockRun } from './stock-loop.ts'
import { pagesOf } from './watched.ts'

// The reference CU's loop: the whole memory goes in and comes out with each message, and an instance that gave an Error
// is not used again. The one difference: no shell. With `ourHost`, the host answers the loader as ours does where the
// module can tell: a clock that starts anew with each message, memory that grows to whole steps, and no WeaveDrive (for
// which the stock one sets 40 MB of the Process's memory aside).

type Glue = Record<string, Record<string, WebAssembly.ImportValue>>
type Receive = (instance: { exports: object }) => unknown
type Handle = (memory: unknown, message: unknown, environment: unknown) => Promise<Record<string, unknown>>
type Loader = (hook: (glue: Glue, receive: Receive) => unknown, options: object) => Promise<Handle>

const loader = createRequire(import.meta.url)('@permaweb/ao-loader') as Loader
const { bytes, format, environment, messages, ourHost } = workerData as StockRun
const module = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>)

const growthStepBytes = 4 << 20
let wantedBytes = 0
let clock = 0
if (ourHost) Date.now = () => clock++ // after the loader put its own there

const noShell = (): never => {
  throw new Error('the stock loop must not run a shell')
}

function open(): Promise<Handle> {
  return loader(
    (glue, receive) => {
      const env: Glue[string] = { ...glue['env'], _emscripten_system: noShell }
      const resize = env['emscripten_resize_heap'] as (bytes: number | bigint) => unknown
      if (ourHost) {
        for (const call of ['open', 'read', 'close']) env[`__asyncjs__weavedrive_${call}`] = () => 0
        env['emscripten_resize_heap'] = (bytes: number | bigint) => {
          const wanted = typeof bytes === 'bigint' ? Number(bytes) : bytes >>> 0
          wantedBytes = Math.ceil(wanted / growthStepBytes) * growthStepBytes
          return resize(bytes)
        }
      }
      const { exports } = new WebAssembly.Instance(module, { ...glue, env })
      return receive({ exports: ourHost ? { ...exports, memory: steppedMemory(exports) } : exports })
    },
    { format, computeLimit: 9e12, memoryLimit: ourHost ? '256-mb' : '1-gb', extensions: [], thisProgram: 'ao' },
  )
}

function steppedMemory(exports: WebAssembly.Exports): object {
  const memory = exports['memory'] as WebAssembly.Memory
  return {
    get buffer(): ArrayBuffer {
      return memory.buffer as ArrayBuffer
    },
    grow: () => growMemory(memory, wantedBytes),
  }
}

const results: unknown[] = []
let memory: Uint8Array | null = null
let handle: Handle | undefined
for (const message of messages) {
  handle ??= await open()
  clock = 10_000
  wantedBytes = memory?.length ?? 0
  try {
    const { Memory, ...result } = await handle(memory, message, environment)
    results.push(result)
    if (result['Error']) handle = undefined
    else memory = Memory as Uint8Array
  } catch (error) {
    results.push({ Error: String(error) })
    handle = undefined
  }
}
parentPort?.postMessage({ results, pages: pagesOf(memory ?? new Uint8Array(0)) })

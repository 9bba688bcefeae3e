import { createRequire } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import type { StockRun } from './stock-loop.ts'

// The reference CU's loop: the whole memory goes in and comes out with each message, and an instance that gave an Error
// is not used again. The one difference: no shell.

type Glue = Record<string, Record<string, WebAssembly.ImportValue>>
type Receive = (instance: WebAssembly.Instance) => unknown
type Handle = (memory: unknown, message: unknown, environment: unknown) => Promise<Record<string, unknown>>
type Loader = (hook: (glue: Glue, receive: Receive) => unknown, options: object) => Promise<Handle>

const loader = createRequire(import.meta.url)('@permaweb/ao-loader') as Loader
const { bytes, format, environment, messages } = workerData as StockRun
const module = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>)

const noShell = (): never => {
  throw new Error('the stock loop must not run a shell')
}
const open = (): Promise<Handle> =>
  loader(
    (glue, receive) => {
      const env = { ...glue['env'], _emscripten_system: noShell }
      return receive(new WebAssembly.Instance(module, { ...glue, env }))
    },
    { format, computeLimit: 9e12, memoryLimit: '1-gb', extensions: [] },
  )

const results: unknown[] = []
let memory: unknown = null
let handle: Handle | undefined
for (const message of messages) {
  handle ??= await open()
  try {
    const { Memory, ...result } = await handle(memory, message, environment)
    results.push(result)
    if (result['Error']) handle = undefined
    else memory = Memory
  } catch (error) {
    results.push({ Error: String(error) })
    handle = undefined
  }
}
parentPort?.postMessage(results)

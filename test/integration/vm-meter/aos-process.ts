import { createRequire } from 'node:module'

/**
 * One aos Process driven as our VM drives it: through ao-loader's hook, on a live instance, with its own clock.
 * Only what these tests need; the product's is in `src/vm`.
 */
export interface AosProcess {
  readonly exports: WebAssembly.Exports
  call(message: object): Promise<AosResult>
}
export interface AosResult {
  readonly Error?: unknown
  readonly Output?: unknown
  readonly Messages?: readonly unknown[]
}

type Import = (...args: unknown[]) => unknown
interface ImportInfo {
  readonly env: Record<string, Import>
  readonly wasi_snapshot_preview1: Record<string, Import>
}
type Receive = (instance: { exports: WebAssembly.Exports }, module: WebAssembly.Module) => unknown
type Handle = (memory: null, message: object, environment: object) => Promise<AosResult & { Memory?: unknown }>
type AoLoader = (hook: (info: ImportInfo, receive: Receive) => unknown, options: object) => Promise<Handle>

export interface AosOptions {
  readonly wide?: boolean
  /** What `@permaweb/wasm-metering` makes a module call. */
  readonly useGas?: Import
  /** Called with each new instance before its start-up code runs. */
  readonly prepare?: (exports: WebAssembly.Exports) => void
}

const require = createRequire(import.meta.url)

export async function openAos(module: WebAssembly.Module, options: AosOptions = {}): Promise<AosProcess> {
  const { wide = false, useGas, prepare } = options
  let clock = 10_000
  let exports: WebAssembly.Exports = {}
  const hook = (info: ImportInfo, receive: Receive): unknown => {
    const tick = () => clock++
    const env = { ...info.env, emscripten_date_now: tick, emscripten_get_now: tick, _emscripten_system: () => 0 }
    const imports: WebAssembly.Imports = { env, wasi_snapshot_preview1: info.wasi_snapshot_preview1 }
    if (useGas !== undefined) imports['metering'] = { usegas: useGas }
    const instance = new WebAssembly.Instance(module, imports)
    exports = instance.exports
    prepare?.(exports)
    return receive({ exports: { ...exports, memory: growable(exports['memory'] as WebAssembly.Memory, wide) } }, module)
  }
  const handle = await keepingHost(async () =>
    loader()(hook, {
      format: wide ? 'wasm64-unknown-emscripten-draft_2024_02_15' : 'wasm32-unknown-emscripten4',
      computeLimit: 9e15,
      memoryLimit: String(2 ** 29),
      extensions: [],
      UNSAFE_MEMORY: true,
      thisProgram: 'ao',
    }),
  )
  return {
    exports,
    async call(message) {
      clock = 10_000
      const { Memory: _, ...result } = await keepingHost(() => handle(null, message, environment))
      return result
    },
  }
}

let loaded: AoLoader | undefined
function loader(): AoLoader {
  loaded ??= require('@permaweb/ao-loader') as AoLoader
  return loaded
}

/** The loader replaces these for everybody in the thread. */
async function keepingHost<T>(work: () => Promise<T>): Promise<T> {
  const { now } = Date
  const { random } = Math
  const { log } = console
  const { compile, compileStreaming } = WebAssembly
  try {
    return await work()
  } finally {
    Date.now = now
    Math.random = random
    console.log = log
    Object.assign(WebAssembly, { compile, compileStreaming })
  }
}

/** The glue of wasm64 grows by fractions of a page, and newer V8 wants a BigInt. */
function growable(memory: WebAssembly.Memory, wide: boolean): WebAssembly.ExportValue {
  if (!wide) return memory
  const grow = memory.grow.bind(memory) as (pages: number | bigint) => unknown
  const growWhole = (pages: number) => {
    try {
      return grow(BigInt(Math.floor(pages)))
    } catch {
      return grow(Math.floor(pages))
    }
  }
  return {
    get buffer() {
      return memory.buffer
    },
    grow: growWhole,
  } as unknown as WebAssembly.Memory
}

const tag = (name: string, value: string) => ({ name, value })
const processId = 'P'.repeat(43)
const owner = 'O'.repeat(43)
const processTags = [
  tag('Data-Protocol', 'ao'),
  tag('Variant', 'ao.TN.1'),
  tag('Type', 'Process'),
  tag('Module', 'M'.repeat(43)),
  tag('Authority', 'A'.repeat(43)),
]
const environment = {
  Process: { Id: processId, Owner: owner, Tags: processTags },
  Module: { Id: 'M'.repeat(43), Tags: [tag('Type', 'Module')] },
}

function message(nonce: number, tags: readonly object[], data: string): object {
  return {
    Id: nonce === 0 ? processId : `m${nonce}`.padEnd(43, 'x'),
    Owner: owner,
    From: owner,
    Target: processId,
    Module: 'M'.repeat(43),
    Tags: tags,
    Data: data,
    'Block-Height': 1_000_000 + nonce,
    Timestamp: 1_700_000_000_000 + nonce * 1000,
    Nonce: nonce,
    Epoch: 0,
    'Hash-Chain': `h${nonce}`,
    Cron: false,
    'Read-Only': false,
  }
}

const evalMessage = (nonce: number, code: string): object => message(nonce, [tag('Action', 'Eval')], code)

const token = `
local bint = require('.bint')(256)
Balances = Balances or { [ao.id] = tostring(bint(10000 * 10^12)), ['${owner}'] = tostring(bint(10000 * 10^12)) }
local utils = {
  add = function (a, b) return tostring(bint(a) + bint(b)) end,
  subtract = function (a, b) return tostring(bint(a) - bint(b)) end
}
Handlers.add('Transfer', Handlers.utils.hasMatchingTag('Action', 'Transfer'), function (msg)
  assert(type(msg.Tags.Recipient) == 'string', 'Recipient is required')
  local qty = bint(msg.Tags.Quantity)
  if not Balances[msg.From] then Balances[msg.From] = '0' end
  if not Balances[msg.Tags.Recipient] then Balances[msg.Tags.Recipient] = '0' end
  if bint.__le(qty, bint(Balances[msg.From])) then
    Balances[msg.From] = utils.subtract(Balances[msg.From], msg.Tags.Quantity)
    Balances[msg.Tags.Recipient] = utils.add(Balances[msg.Tags.Recipient], msg.Tags.Quantity)
    ao.send({ Target = msg.From, Action = 'Debit-Notice', Quantity = msg.Tags.Quantity })
    ao.send({ Target = msg.Tags.Recipient, Action = 'Credit-Notice', Quantity = msg.Tags.Quantity })
  end
end)`

/** Spawn, a token with 256-bit balances, then `pairs` of an Eval with float arithmetic and a Transfer. */
export function aosMessages(pairs: number): object[] {
  const list = [message(0, processTags, ''), evalMessage(1, token)]
  for (let i = 0; i < pairs; i++) {
    list.push(
      evalMessage(
        list.length,
        `local t = {} for i = 1, 50 do t[i] = (i * 1.5 + ${i}) ^ 0.5 end return tostring(t[7]) .. #t`,
      ),
    )
    const recipient = `r${i % 20}`.padEnd(43, 'y')
    const tags = [tag('Action', 'Transfer'), tag('Recipient', recipient), tag('Quantity', String(1 + i))]
    list.push(message(list.length, tags, ''))
  }
  return list
}

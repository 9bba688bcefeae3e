import assert from 'node:assert/strict'
import loadWabt from 'wabt'
import { enableMemory64 } from '../../../../src/vm/meter/memory64.ts'
import { type MeterOptions, meterModule } from '../../../../src/vm/meter/meter.ts'
import { type TrapWords, trapWords } from '../../../../src/vm/meter/outcome.ts'
import { gas1Prices } from '../../../../src/vm/meter/prices.ts'

enableMemory64()

let wabt: Awaited<ReturnType<typeof loadWabt>> | undefined
before(async () => {
  wabt = await loadWabt()
})

const features = {
  exceptions: true,
  mutable_globals: true,
  sat_float_to_int: true,
  sign_extension: true,
  simd: true,
  threads: true,
  multi_value: true,
  tail_call: true,
  bulk_memory: true,
  reference_types: true,
  memory64: true,
  extended_const: true,
  relaxed_simd: true,
  multi_memory: true,
}

/** The module that a text stands for; not always one that this Node takes. */
export function fromText(text: string): Uint8Array {
  assert.ok(wabt, 'modules are made inside tests only')
  const module = wabt.parseWat('test.wat', text, features)
  try {
    return new Uint8Array(module.toBinary({}).buffer)
  } finally {
    module.destroy()
  }
}

export type Call = (...args: unknown[]) => unknown

/** What a call gave, or the words for how it trapped, and what it cost. */
export interface Outcome {
  readonly value?: unknown
  readonly trap?: TrapWords
  readonly gas: bigint
}

export class MeteredInstance {
  readonly exports: Record<string, WebAssembly.ExportValue>

  constructor(module: WebAssembly.Module, imports: WebAssembly.Imports = {}) {
    this.exports = new WebAssembly.Instance(module, imports).exports
  }

  global(name: string): WebAssembly.Global {
    return this.exports[name] as WebAssembly.Global
  }

  call(name: string, args: readonly unknown[] = [], limit = 1_000_000_000_000n): Outcome {
    this.global('__gas').value = limit
    this.global('__depth').value = 0
    const gas = () => limit - (this.global('__gas').value as bigint)
    try {
      const value = (this.exports[name] as Call)(...args)
      return { value, gas: gas() }
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error
      const globals = { gas: this.global('__gas').value as bigint, depth: this.global('__depth').value as number }
      return { trap: trapWords(globals), gas: gas() }
    }
  }
}

/** A running instance of the metered module that a text stands for. */
export function metered(text: string, options: Partial<MeterOptions> & { imports?: WebAssembly.Imports } = {}) {
  const { imports, ...rest } = options
  const { bytes } = meterModule(fromText(text), { prices: gas1Prices, ...rest })
  return new MeteredInstance(new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>), imports)
}

/** A running instance of the module as it is. */
export function plain(text: string, imports: WebAssembly.Imports = {}): Record<string, WebAssembly.ExportValue> {
  return new WebAssembly.Instance(new WebAssembly.Module(fromText(text) as Uint8Array<ArrayBuffer>), imports).exports
}

/** Calls every exported function `f…` of a module and of its metered twin with the same arguments, and compares all. */
export function assertEqual(
  text: string,
  argumentLists: readonly (readonly unknown[])[] = [[]],
  imports?: WebAssembly.Imports,
) {
  const original = plain(text, imports)
  const twin = metered(text, imports === undefined ? {} : { imports })
  for (const [name, callable] of Object.entries(original)) {
    if (typeof callable !== 'function') continue
    for (const args of argumentLists) {
      let expected: unknown
      let trapped = false
      try {
        expected = (callable as Call)(...args)
      } catch {
        trapped = true
      }
      const outcome = twin.call(name, args)
      assert.equal(outcome.trap !== undefined, trapped, `${name}(${args}): one trapped`)
      if (!trapped) assert.deepEqual(outcome.value, expected, `${name}(${args})`)
    }
  }
  const memory = original['memory'] as WebAssembly.Memory | undefined
  const twinMemory = twin.exports['memory'] as WebAssembly.Memory | undefined
  if (memory && twinMemory)
    assert.ok(Buffer.from(memory.buffer).equals(Buffer.from(twinMemory.buffer)), 'memories differ')
}

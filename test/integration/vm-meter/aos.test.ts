import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { type AosName, loadAosModule } from '../../../src/testnet/aos-module.ts'
import { enableMemory64 } from '../../../src/vm/meter/memory64.ts'
import { meterModule } from '../../../src/vm/meter/meter.ts'
import { gas1Prices, legacyPrices, type PriceTable } from '../../../src/vm/meter/prices.ts'
import { aosMessages, openAos } from './aos-process.ts'

interface Log {
  readonly results: readonly string[]
  readonly gas: readonly bigint[]
  readonly memory: string
}
interface Toolkit {
  meterWASM(bytes: Uint8Array, options: { meterType: 'i32' | 'i64' }): Uint8Array
}

async function aosModule(name: AosName): Promise<Uint8Array> {
  const said: string[] = []
  const module = await loadAosModule(text => said.push(text), { name })
  assert.ok(module, `these tests need the aos module: ${said.join('; ')}`)
  return module.bytes
}

const limit = 10n ** 15n
const messages = aosMessages(3)
const compiled = (bytes: Uint8Array) => new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>)
const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const memoryOf = (exports: WebAssembly.Exports) =>
  hashOf(new Uint8Array((exports['memory'] as WebAssembly.Memory).buffer))

function grant(exports: WebAssembly.Exports, gas = limit): void {
  ;(exports['__gas'] as WebAssembly.Global).value = gas
  ;(exports['__depth'] as WebAssembly.Global).value = 0
}
const left = (exports: WebAssembly.Exports) => (exports['__gas'] as WebAssembly.Global).value as bigint

async function runPlain(bytes: Uint8Array, wide: boolean): Promise<Log> {
  const process = await openAos(compiled(bytes), { wide })
  const results: string[] = []
  for (const message of messages) results.push(JSON.stringify(await process.call(message)))
  return { results, gas: [], memory: memoryOf(process.exports) }
}

async function runMetered(bytes: Uint8Array, wide: boolean, prices: PriceTable): Promise<Log> {
  const module = compiled(meterModule(bytes, { prices, strict: true }).bytes)
  const process = await openAos(module, { wide, prepare: exports => grant(exports) })
  const results: string[] = []
  const gas: bigint[] = []
  for (const message of messages) {
    grant(process.exports)
    results.push(JSON.stringify(await process.call(message)))
    gas.push(limit - left(process.exports))
  }
  return { results, gas, memory: memoryOf(process.exports) }
}

/** As ao-loader meters the `-metering` formats, but with a counter that has no limit. */
async function runToolkit(bytes: Uint8Array, wide: boolean): Promise<Log> {
  const toolkit = createRequire(import.meta.url)('@permaweb/wasm-metering') as Toolkit
  const module = compiled(toolkit.meterWASM(Buffer.from(bytes), { meterType: wide ? 'i64' : 'i32' }))
  let used = 0n
  const useGas = (gas: unknown) => {
    used += BigInt(gas as number | bigint)
  }
  const process = await openAos(module, { wide, useGas })
  const results: string[] = []
  const gas: bigint[] = []
  for (const message of messages) {
    used = 0n
    results.push(JSON.stringify(await process.call(message)))
    gas.push(used)
  }
  return { results, gas, memory: memoryOf(process.exports) }
}

/** Each kind of run once for all tests; they take a second each. */
const runs = new Map<string, Promise<Log>>()
function once(key: string, run: () => Promise<Log>): Promise<Log> {
  const known = runs.get(key) ?? run()
  runs.set(key, known)
  return known
}
const plainLog = (name: AosName, wide: boolean) =>
  once(`${name} plain`, async () => runPlain(await aosModule(name), wide))
const meteredLog = (name: AosName, wide: boolean, prices: PriceTable) =>
  once(`${name} ${prices.identity}`, async () => runMetered(await aosModule(name), wide, prices))

describe('vm/meter on real aos modules', () => {
  before(() => {
    assert.ok(enableMemory64())
  })

  for (const [name, wide] of [
    ['aos2_0_4_32', false],
    ['aos2_0_6', true],
  ] as const) {
    it(`asks of ${name} exactly the gas that @permaweb/wasm-metering asks, message by message`, async function () {
      this.timeout(60_000)
      const plain = await plainLog(name, wide)
      const ours = await meteredLog(name, wide, legacyPrices)
      const theirs = await runToolkit(await aosModule(name), wide)
      assert.deepEqual(ours.gas, theirs.gas)
      assert.ok(ours.gas.every(gas => gas > 100_000_000n))
      assert.deepEqual(ours.results, plain.results)
      assert.deepEqual(theirs.results, plain.results)
      assert.equal(ours.memory, plain.memory)
      assert.ok(plain.results.at(-1)?.includes('Debit-Notice'), 'the token works')
    })

    it(`gives with our own prices the results and memory of the plain ${name}, twice with the same gas`, async function () {
      this.timeout(60_000)
      const plain = await plainLog(name, wide)
      const first = await meteredLog(name, wide, gas1Prices)
      const second = await runMetered(await aosModule(name), wide, gas1Prices)
      assert.deepEqual(first, second)
      assert.deepEqual(first.results, plain.results)
      assert.equal(first.memory, plain.memory)
    })
  }

  it('asks the recorded sums: a change of them is a change of consensus', async function () {
    this.timeout(60_000)
    const [legacy, gas1] = [legacyPrices, gas1Prices].map(prices => meteredLog('aos2_0_4_32', false, prices))
    assert.deepEqual((await legacy)?.gas.slice(0, 4), recorded.legacy)
    assert.deepEqual((await gas1)?.gas.slice(0, 4), recorded.gas1)
  })

  it('makes the recorded bytes of aos', async () => {
    const bytes = await aosModule('aos2_0_4_32')
    assert.equal(hashOf(meterModule(bytes, { prices: legacyPrices }).bytes), golden.legacy32)
    assert.equal(hashOf(meterModule(bytes, { prices: gas1Prices }).bytes), golden.gas32)
    const wide = await aosModule('aos2_0_6')
    assert.equal(hashOf(meterModule(wide, { prices: gas1Prices }).bytes), golden.gas64)
  })

  it('ends an endless Lua loop as out of gas and endless C recursion never at the stack of the host', async function () {
    this.timeout(60_000)
    const module = compiled(meterModule(await aosModule('aos2_0_4_32'), { prices: gas1Prices }).bytes)
    const open = async () => {
      const process = await openAos(module, { prepare: exports => grant(exports) })
      grant(process.exports)
      await process.call(messages[0] ?? {})
      return process
    }
    const spinning = await open()
    grant(spinning.exports, 10n ** 9n)
    const spin = { ...messages[1], Data: 'while true do end', Nonce: 1 }
    await assert.rejects(spinning.call(spin), WebAssembly.RuntimeError)
    assert.ok(left(spinning.exports) < 0n && left(spinning.exports) > -1_000_000n)

    // Patterns, the parser and pcall recurse in C; Lua limits each, below our limit.
    const recursing = await open()
    for (const code of [
      "return string.find(string.rep('a', 250000), string.rep('a?', 250000))",
      "return load('return ' .. string.rep('(', 190) .. '1' .. string.rep(')', 190))()",
      'local function f (n) return pcall(f, n + 1) end return tostring(f(0))',
      "local function f (n) return (string.gsub('a', 'a', function () return f(n + 1) end)) end return f(0)",
    ]) {
      grant(recursing.exports, 10n ** 11n)
      const result = await recursing.call({ ...messages[1], Data: code }).catch(String)
      assert.doesNotMatch(JSON.stringify(result), /Maximum call stack/)
    }
  })

  it('shows a NaN to Lua as every machine will', async () => {
    const module = compiled(meterModule(await aosModule('aos2_0_4_32'), { prices: gas1Prices }).bytes)
    const process = await openAos(module, { prepare: exports => grant(exports) })
    for (const message of [messages[0], { ...messages[1], Data: "return tostring(0/0) .. ' ' .. tostring(-(0/0))" }]) {
      grant(process.exports)
      const { Output } = await process.call(message ?? {})
      if (message === messages[0]) continue
      assert.equal((Output as { data: string }).data, 'nan -nan')
    }
  })
})

const recorded = {
  legacy: [11_152_526_169n, 2_149_218_294n, 581_073_308n, 765_312_262n],
  gas1: [894_258_220n, 179_641_797n, 49_604_343n, 64_189_958n],
}
const golden = {
  legacy32: '0efeaad3e4d60f98123173e4687ba6bf71a4fe5fa72f381e635c2decc04e9385',
  gas32: '2b5e3dcc32ccc00e0576e6f0c34859d6d0c3d478b6185325e011ac4b5bf82469',
  gas64: '7e4a3f005879e12de0334acc31b847ca7d0bd4e8ff127268164b298cf65c65d6',
}

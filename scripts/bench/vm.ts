import { utf8 } from '../../src/lib/bytes.ts'
import { echoFormat, echoModule } from '../../src/modules/echo/echo.ts'
import type { VmMessage } from '../../src/ports/vm.ts'
import { loadAosModule } from '../../src/testnet/aos-module.ts'
import { aosVm } from '../../src/vm/aos-vm.ts'
import { LiveProcess } from '../../src/vm/live-process.ts'
import type { Machine, Vm } from '../../src/vm/machine.ts'
import { quickJsVm } from '../../src/vm/quickjs-vm.ts'
import { wasmVm } from '../../src/vm/wasm-vm.ts'
import { environmentOf, evalOf, idOf, mebibytes, messageOf, spawnOf } from '../../test/support/modules/process.ts'
import type { BenchLine } from './main.ts'
import { compare, median } from './support/measure.ts'
import { type RawMachine, rawAos, rawPlain, rawQuickJs } from './support/raw-machines.ts'

const process_ = idOf('process')
const environment = environmentOf(process_)
const limits = { memoryBytes: mebibytes(256), gas: 10n ** 11n }

/** The same trivial handler in each machine: it counts, and answers with the number. */
interface Case {
  readonly name: string
  readonly vm: Vm
  readonly format: string
  readonly bytes: Uint8Array
  /** Before the first that is measured. */
  readonly first: readonly VmMessage[]
  raw(): Promise<RawMachine>
}

const counter = utf8(`let n = 0
export function handle(msg) { return { Output: String(++n) } }`)
const handler = 'N = 0; Handlers.add("ping", "Ping", function () N = N + 1; print(N) end)'

async function cases(): Promise<readonly Case[]> {
  const aos = await loadAosModule(text => process.stderr.write(`${text}\n`))
  const plain = echoModule()
  const small = [
    {
      name: 'ao-abi-1',
      vm: wasmVm,
      format: echoFormat,
      bytes: plain,
      first: [],
      raw: () => rawPlain(plain, environment),
    },
    {
      ...{ name: 'js-quickjs-1', vm: quickJsVm, format: 'js-quickjs-1', bytes: counter, first: [] },
      raw: () => rawQuickJs(counter, environment),
    },
  ]
  if (aos === undefined) return small
  const { format, bytes } = aos
  const first = [spawnOf(process_), evalOf(process_, 1, handler)]
  return [...small, { name: 'aos', vm: aosVm, format, bytes, first, raw: () => rawAos(bytes, format, environment) }]
}

/**
 * `ratioToRaw`: the metered machine's rate over that of the same module without gas, depth and NaN rules.
 * `evaluationsPerSecond`: of a live Process, with all that undoing and state roots cost.
 */
export default async function* vm(): AsyncIterable<BenchLine> {
  for (const each of await cases()) yield await measured(each)
  yield* holders()
}

async function measured({ name, vm, format, bytes, first, raw: openRaw }: Case): Promise<BenchLine> {
  const prepared = vm.prepare(bytes, format, limits)
  const machine = await prepared.instantiate(environment)
  const live = await LiveProcess.open(prepared, { environment, gas: limits.gas })
  const raw = await openRaw()
  for (const message of first) {
    await machine.call(message, limits.gas)
    await live.handle(message)
    await raw(message)
  }
  const gas = (await call(machine, first.length)).gasUsed
  const [next, nextRaw, nextLive] = [counted(first.length + 1), counted(first.length), counted(first.length)]
  const metered = await compare(
    () => call(machine, next()),
    () => raw(ping(nextRaw())),
  )
  const whole = await compare(
    () => live.handle(ping(nextLive())),
    () => call(machine, next()),
    { rounds: 5 },
  )
  return {
    case: `trivial handler, ${name}`,
    evaluationsPerSecond: whole.ours,
    meteredPerSecond: metered.ours,
    rawPerSecond: metered.stock,
    gas: Number(gas),
    ratioToRaw: metered.ratioToStock,
  }
}

const ping = (nonce: number): VmMessage => messageOf(process_, nonce, { tags: { Action: 'Ping' } })
const call = (machine: Machine, nonce: number) => machine.call(ping(nonce), limits.gas)
const counted = (from: number): (() => number) => {
  let next = from
  return () => next++
}

const ledger = utf8(`const balances = new Map()
export function handle(msg) {
  const [from, to] = msg.Data.split('|')
  if (to === undefined) { for (let i = 0; i < +from; i++) balances.set('holder ' + i, 1000000n); return }
  balances.set(from, balances.get(from) - 1n)
  balances.set(to, (balances.get(to) ?? 0n) + 1n)
}`)

/** Transfers in a JavaScript ledger, all costs of a live Process included. `ratioToRaw`: 10 holders are 1. */
async function* holders(): AsyncIterable<BenchLine> {
  const few = await withHolders(10)
  for (const count of [10_000, 100_000]) {
    const many = await withHolders(count)
    const { ours, stock, ratioToStock } = await compare(
      () => transfer(many),
      () => transfer(few),
      { rounds: 7 },
    )
    const line = { transfersPerSecond: ours, amongTenPerSecond: stock, ratioToRaw: ratioToStock }
    yield { case: `JavaScript ledger, ${count} holders`, ...line, checkpointMs: await snapshotMs(many.live) }
  }
}

interface Ledger {
  readonly live: LiveProcess
  readonly count: number
  nonce: number
}

async function withHolders(count: number): Promise<Ledger> {
  const prepared = quickJsVm.prepare(ledger, 'js-quickjs-1', limits)
  const live = await LiveProcess.open(prepared, { environment, gas: limits.gas })
  await live.handle(messageOf(process_, 0, { data: String(count) }))
  return { live, count, nonce: 1 }
}

async function transfer(to: Ledger): Promise<void> {
  const nonce = to.nonce++
  const data = `holder ${(nonce * 7919) % to.count}|holder ${(nonce * 104_729) % to.count}`
  const { evaluation } = await to.live.handle(messageOf(process_, nonce, { data }))
  if (evaluation.error !== undefined) throw new Error(evaluation.error)
}

async function snapshotMs(live: LiveProcess): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < 5; i++) {
    const start = performance.now()
    await live.snapshot()
    times.push(performance.now() - start)
  }
  return Number(median(times).toFixed(2))
}

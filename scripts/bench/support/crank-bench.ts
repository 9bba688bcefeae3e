import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client, SendOptions } from '../../../src/client/client.ts'
import { utf8 } from '../../../src/lib/bytes.ts'
import { silentLogger, silentTelemetry } from '../../../src/lib/telemetry.ts'
import type { Assignment, ScheduledMessage } from '../../../src/protocol/assignment.ts'
import { type DataItem, signedDigest, verifyDataItem } from '../../../src/protocol/data-item.ts'
import type { ModuleId, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { testnetParams } from '../../../src/protocol/params.ts'
import type { Tag } from '../../../src/protocol/tags.ts'
import type { UnitRole } from '../../../src/protocol/unit-record.ts'
import { openStore } from '../../../src/storage/level.ts'
import { put } from '../../../src/storage/store.ts'
import { type AosModule, loadAosModule } from '../../../src/testnet/aos-module.ts'
import { environmentOf, toVmMessage } from '../../../src/units/compute/messages.ts'
import { WorkerVmPool } from '../../../src/vm/pool.ts'
import { RealNetwork } from '../../../test/support/real-network.ts'
import { median } from './measure.ts'

/** The same Lua that the peer's driver runs. */
export const counterLua = `Count = 0
Handlers.add("Inc", function(m) return m.Action == "Inc" end, function(m) Count = Count + 1 end)
Handlers.add("Fan", function(m) return m.Action == "Fan" end, function(m) for i = 1, tonumber(m.Tags.N) do ao.send({Target=m.Tags.Peer, Action="Inc", N=tostring(i)}) end end)
Handlers.add("Ping", function(m) return m.Action == "Ping" end, function(m) Count = Count + 1; local n = tonumber(m.Tags.N); if n > 0 then ao.send({Target=m.Tags.Peer, Action="Ping", N=tostring(n-1), Peer=ao.id}) end end)
return "ok"`

export const topologies: Readonly<Record<string, Readonly<Record<string, readonly UnitRole[]>>>> = {
  'all roles in one node': { all: ['MU', 'SU', 'CU'] },
  'each role in its own process': { mu: ['MU'], su: ['SU'], cu: ['CU'] },
  'two CUs, each role in its own process': { mu: ['MU'], su: ['SU'], 'cu-1': ['CU'], 'cu-2': ['CU'] },
}

/** A network with a client at its MU and aos Processes that know the counter. */
export class CrankBench {
  readonly net: RealNetwork
  readonly client: Client
  readonly processes: readonly ProcessId[]
  readonly aos: AosModule
  readonly module: ModuleId

  private constructor(net: RealNetwork, client: Client, of: Pick<CrankBench, 'processes' | 'aos' | 'module'>) {
    this.net = net
    this.client = client
    this.processes = of.processes
    this.aos = of.aos
    this.module = of.module
  }

  static async open(shape: Readonly<Record<string, readonly UnitRole[]>>, count: number): Promise<CrankBench> {
    const aos = await loadAosModule(text => process.stderr.write(`${text}\n`))
    if (aos === undefined) throw new Error('this bench needs the aos module, which cannot be had from npm here')
    const net = new RealNetwork({ shape })
    try {
      await net.start()
      const module = await net.publish({ bytes: aos.bytes, format: aos.format, name: 'aos' })
      const entry = Object.keys(shape).find(name => shape[name]?.includes('MU')) ?? ''
      const client = await net.client(entry)
      const processes: ProcessId[] = []
      for (let i = 0; i < count; i++) processes.push((await client.spawn({ module })).process)
      const bench = new CrankBench(net, client, { processes, aos, module })
      for (const id of processes) await bench.result(id, { tags: [action('Eval')], data: counterLua })
      return bench
    } catch (error) {
      await net.stop()
      throw error
    }
  }

  /** Sends, waits for the result, and insists that the Process did not fail. */
  async result(to: ProcessId, message: SendOptions): Promise<string> {
    const { message: id } = await this.client.send(to, message)
    const { result } = await this.client.result(to, id)
    if (result.error !== undefined) throw new Error(`the Process failed: ${result.error}`)
    return JSON.stringify(result.output)
  }

  async count(of: ProcessId): Promise<number> {
    const output = await this.result(of, { tags: [action('Eval')], data: 'return "=" .. tostring(Count)' })
    return Number(/=(\d+)/.exec(output)?.[1])
  }

  /** Sends and waits until all it set off is quiet. How many messages that was, and how long it took. */
  async converse(to: ProcessId, message: SendOptions): Promise<{ pushed: number; ms: number; cpuMs: number }> {
    const cpu = this.net.cpuMs()
    const start = performance.now()
    const { message: id } = await this.client.send(to, message)
    const pushed = new Set<string>()
    for await (const { parts, reason } of this.client.follow(to, id)) {
      if (reason !== undefined) throw new Error(`not delivered: ${reason}`)
      for (const part of parts) if (part.state === 'pushed' && part.message !== undefined) pushed.add(part.message)
    }
    return { pushed: pushed.size, ms: performance.now() - start, cpuMs: this.net.cpuMs() - cpu }
  }

  clientAtSu(): Promise<Client> {
    return this.net.client(this.net.nodes.has('su') ? 'su' : 'all')
  }

  signed(to: ProcessId, tags: readonly Tag[]): Promise<DataItem> {
    return this.net.user.sign({
      ...{ target: to, anchor: anchor(), data: utf8(' ') },
      tags: [
        ...tags,
        { name: 'Data-Protocol', value: 'ao' },
        { name: 'Variant', value: 'ao.TN.1' },
        { name: 'Type', value: 'Message' },
      ],
    })
  }

  async close(): Promise<void> {
    await this.client.close()
    await this.net.stop()
  }
}

export const action = (value: string): Tag => ({ name: 'Action', value })
export const tag = (name: string, value: string): Tag => ({ name, value })

/** 32 characters that no other message has. */
export const anchor = (): string => Math.random().toString(36).padEnd(32, '0').slice(0, 32)

export const round = (value: number, digits = 2): number => Number(value.toFixed(digits))
export const percentile = (values: readonly number[], percent: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor((percent / 100) * sorted.length))] ?? Number.NaN
}

/** Milliseconds that one run takes, the median of many. */
export async function medianMs(run: () => Promise<unknown> | unknown, times = 200): Promise<number> {
  const taken: number[] = []
  for (let i = 0; i < times; i++) {
    const start = performance.now()
    await run()
    taken.push(performance.now() - start)
  }
  return median(taken)
}

/** One synced write of 2 KiB, in milliseconds. */
async function syncedWriteMs(): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'aonet-bench-'))
  const store = await openStore(dir, { log: silentLogger })
  try {
    let i = 0
    return await medianMs(() => store.write([put(utf8(`key ${i++}`), new Uint8Array(2048))]), 100)
  } finally {
    await store.close()
    await rm(dir, { recursive: true, force: true })
  }
}

/** One evaluation of the messages a Process really got, in a worker of this program. */
async function evaluationMs(bench: CrankBench, process: ProcessId): Promise<number> {
  const { module, aos } = bench
  const pool = new WorkerVmPool(silentTelemetry, { workers: 1, maxLive: 4, maxQueued: 1_000, wallClockMs: 60_000 })
  await pool.start()
  try {
    const rows: ScheduledMessage[] = []
    const schedule = bench.client.node.units.scheduler.read(process, { from: 0 as Nonce })
    for await (const row of schedule) rows.push(row)
    const item = rows[0]?.message as DataItem
    const environment = environmentOf(item, { ...item, id: module as never })
    const limits = { memoryBytes: testnetParams.maxMemoryBytes, gas: BigInt(testnetParams.maxGas) }
    const live = await pool.open({
      ...{ process, module, format: aos.format, environment, limits, loadModule: async () => aos.bytes },
    })
    let next = 0
    const one = (): Promise<unknown> =>
      live.handle(toVmMessage(rows[next++] as { assignment: Assignment; message: DataItem }))
    for (let i = 0; i < 10; i++) await one()
    return await medianMs(one, rows.length - 10)
  } finally {
    await pool.stop()
  }
}

/** What one hop must cost, each part measured in this run, in milliseconds. */
export async function hopLimit(bench: CrankBench, exchanges: number): Promise<Readonly<Record<string, number>>> {
  const [process] = bench.processes as readonly [ProcessId]
  const { user } = bench.net
  const draft = { target: process, tags: [action('Ping'), tag('N', '1')], data: new Uint8Array(1024) }
  const item = await user.sign(draft)
  const deepHash = await medianMs(() => signedDigest(item))
  const sign = (await medianMs(() => user.sign(draft))) - deepHash
  const check = (await medianMs(() => verifyDataItem(item.raw))) - deepHash
  const write = await syncedWriteMs()
  const evaluation = await evaluationMs(bench, process)
  const su = await bench.clientAtSu() // one exchange, not one that is passed on
  const lookup = await medianMs(() => su.assignment(process, 1 as Nonce))
  await su.close()
  const exchange = Math.max(0, lookup - check - deepHash)
  const limit = 2 * sign + 3 * check + 5 * deepHash + evaluation + write + exchanges * exchange
  return { sign, check, deepHash, write, evaluation, exchange, limit }
}

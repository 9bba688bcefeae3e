import type { DataItem } from '../../src/protocol/data-item.ts'
import type { ProcessId } from '../../src/protocol/ids.ts'
import type { BenchLine } from './main.ts'
import { action, CrankBench, percentile, round, topologies } from './support/crank-bench.ts'
import { median } from './support/measure.ts'
import { WaoPeer } from './support/wao-peer.ts'

const count = Number(process.env['N'] ?? 200)
const rounds = 3
/** Messages of wao's in a round. */
const waoCount = { one: 20, many: 64 }

/**
 * From submitting at the MU to the result in hand, items signed before, in turns with npm wao. Goals: a twentieth of
 * wao's p50 one at a time, 60 times its throughput with 64 at once.
 */
export default async function* e2e(): AsyncIterable<BenchLine> {
  const peer = await WaoPeer.start()
  try {
    const process = await peer?.spawn()
    const theirs = peer && process && waoAsContestant(peer, process)
    for (const [name, shape] of Object.entries(topologies)) {
      const bench = await CrankBench.open(shape, 1)
      try {
        const ours = oursAsContestant(bench)
        await run(ours, { inFlight: 1, count: 30 }) // warms up
        for (const inFlight of [1, 64])
          yield { case: `${inFlight} in flight, ${name}`, ...(await beside(ours, theirs, inFlight)) }
      } finally {
        await bench.close()
      }
    }
  } finally {
    await peer?.stop()
  }
}

/** Whoever takes messages and gives results. */
interface Contestant {
  readonly sign: () => Promise<DataItem>
  readonly deliver: (item: DataItem) => Promise<unknown>
  readonly counter: () => Promise<number>
  readonly cpuMs: () => number
}

function oursAsContestant(bench: CrankBench): Contestant {
  const [process] = bench.processes as readonly [ProcessId]
  const { messenger, compute } = bench.client.node.units
  return {
    sign: () => bench.signed(process, [action('Inc')]),
    deliver: async item => {
      const { nonce } = await messenger.submit(item.raw)
      const { result } = await compute.result(process, nonce)
      if (result.error !== undefined) throw new Error(`the Process failed: ${result.error}`)
    },
    counter: () => bench.count(process),
    cpuMs: () => bench.net.cpuMs(),
  }
}

const waoAsContestant = (peer: WaoPeer, process: ProcessId): Contestant => ({
  sign: () => peer.signed(process, [action('Inc')]),
  deliver: async item => {
    await peer.submit(item)
    await peer.result(process, item)
  },
  counter: () => peer.count(process),
  cpuMs: () => peer.cpuMs(),
})

async function beside(
  ours: Contestant,
  theirs: Contestant | undefined,
  inFlight: number,
): Promise<Omit<BenchLine, 'case'>> {
  const own: Measured[] = []
  const peer: Measured[] = []
  for (let i = 0; i < rounds; i++) {
    own.push(await run(ours, { inFlight, count }))
    const waoMessages = inFlight === 1 ? waoCount.one : waoCount.many
    if (theirs !== undefined && (inFlight === 1 || i === 0))
      peer.push(await run(theirs, { inFlight, count: waoMessages }))
  }
  const middle = (of: keyof Measured, runs = own): number => median(runs.map(run => run[of]))
  const found = {
    ...{ count, perSecond: round(middle('perSecond'), 1), p50Ms: round(middle('p50Ms')) },
    ...{ p99Ms: round(middle('p99Ms')), cpuMsPerMessage: round(middle('cpuMsPerMessage')) },
  }
  if (theirs === undefined) return found
  const wao = { p50Ms: middle('p50Ms', peer), perSecond: middle('perSecond', peer) }
  return {
    ...found,
    ratioToWao: round(inFlight === 1 ? wao.p50Ms / found.p50Ms : found.perSecond / wao.perSecond, 1),
    ...{ waoP50Ms: round(wao.p50Ms), waoPerSecond: round(wao.perSecond, 1) },
    waoCpuMsPerMessage: round(middle('cpuMsPerMessage', peer)),
  }
}

interface Measured {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuMsPerMessage: number
}

/** Every message must have been counted. */
async function run(
  { sign, deliver, counter, cpuMs }: Contestant,
  { inFlight, count }: { readonly inFlight: number; readonly count: number },
): Promise<Measured> {
  const items: DataItem[] = []
  for (let i = 0; i < count; i++) items.push(await sign())
  const before = await counter()
  const waited: number[] = []
  const cpu = cpuMs()
  const start = performance.now()
  const next = async (): Promise<void> => {
    for (let item = items.pop(); item !== undefined; item = items.pop()) {
      const sent = performance.now()
      await deliver(item)
      waited.push(performance.now() - sent)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, next))
  const ms = performance.now() - start
  const used = cpuMs() - cpu
  const counted = (await counter()) - before
  if (counted !== count) throw new Error(`of ${count} messages ${counted} were counted`)
  return {
    ...{ perSecond: (count / ms) * 1000, p50Ms: percentile(waited, 50), p99Ms: percentile(waited, 99) },
    cpuMsPerMessage: used / count,
  }
}

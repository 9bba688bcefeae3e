import type { ProcessId } from '../../src/protocol/ids.ts'
import { action, CrankBench, hopLimit, round, tag, topologies } from './crank-support.ts'
import type { BenchLine } from './main.ts'
import { median } from './measure.ts'
import { figure, waoLines } from './wao.ts'

const hops = Number(process.env['HOPS'] ?? 200)
const fan = 100
const rounds = 3

/**
 * Hops per second of a ping-pong between two aos Processes on one CU, and of a fan-out of 100. Goals: 40 times wao's
 * with all roles in one node; half of what one hop must cost with each role in its own process.
 */
export default async function* muCrank(): AsyncIterable<BenchLine> {
  const wao = await waoLines('crank', { HOPS: String(Math.min(hops, 60)) })
  for (const [name, shape] of Object.entries(topologies)) {
    const bench = await CrankBench.open(shape, 2)
    try {
      const separate = Object.keys(shape).length > 1
      const pingPong = await measure(bench, [action('Ping'), tag('N', String(hops))], hops)
      const limit = await hopLimit(bench, separate ? 3 : 0)
      const peer = figure(wao, 'wao.crank', 'hopsPerSec')
      yield {
        ...{ case: `ping-pong, ${name}`, hops, ...pingPong },
        ...ratios(pingPong, { limitMs: limit['limit'] ?? Number.NaN, peer }),
        ...Object.fromEntries(Object.entries(limit).map(([part, ms]) => [`${part}Ms`, round(ms, 3)])),
      }
      const fanOut = await measure(bench, [action('Fan'), tag('N', String(fan))], fan)
      yield {
        case: `fan-out of ${fan}, ${name}`,
        ...fanOut,
        ...ratios(fanOut, { limitMs: limit['limit'] ?? Number.NaN, peer }),
      }
    } finally {
      await bench.close()
    }
  }
  if (wao.length > 0) yield { case: 'wao, ping-pong', hopsPerSecond: figure(wao, 'wao.crank', 'hopsPerSec') }
}

interface Measured {
  readonly hopsPerSecond: number
  readonly hopMs: number
  readonly cpuMsPerHop: number
}

const ratios = ({ hopMs, hopsPerSecond }: Measured, { limitMs, peer }: { limitMs: number; peer: number }) => ({
  ratioToLimit: round(limitMs / hopMs),
  ...(Number.isNaN(peer) ? {} : { ratioToWao: round(hopsPerSecond / peer, 1) }),
})

/** Medians over the rounds; every message sent must have been counted by a Process. */
async function measure(
  bench: CrankBench,
  tags: readonly ReturnType<typeof tag>[],
  expected: number,
): Promise<Measured> {
  const [a, b] = bench.processes as readonly [ProcessId, ProcessId]
  const counted = async (): Promise<number> => (await bench.count(a)) + (await bench.count(b))
  const runs: Awaited<ReturnType<CrankBench['converse']>>[] = []
  for (let i = 0; i <= rounds; i++) {
    const before = await counted()
    const run = await bench.converse(a, { tags: [...tags, tag('Peer', b)] })
    const applied = (await counted()) - before
    const own = tags.some(({ value }) => value === 'Ping') ? 1 : 0 // the user's Ping counts too
    if (run.pushed !== expected || applied !== expected + own) {
      throw new Error(`of ${expected} messages ${run.pushed} were pushed and ${applied} applied`)
    }
    if (i > 0) runs.push(run) // the first warms up
  }
  const hopMs = median(runs.map(({ ms, pushed }) => ms / pushed))
  const cpuMsPerHop = round(median(runs.map(({ cpuMs, pushed }) => cpuMs / pushed)))
  return { hopsPerSecond: round(1000 / hopMs, 1), hopMs: round(hopMs), cpuMsPerHop }
}

import type { ProcessId } from '../../src/protocol/ids.ts'
import type { BenchLine } from './main.ts'
import { action, CrankBench, hopLimit, round, tag, topologies } from './support/crank-bench.ts'
import { median } from './support/measure.ts'
import { WaoPeer, waoHops } from './support/wao-peer.ts'

const hops = Number(process.env['HOPS'] ?? 200)
const waoHopCount = 20
const fan = 100
const rounds = 3

/**
 * Hops per second of a ping-pong between two aos Processes and of a fan-out of 100, in turns with npm wao running the same
 * Lua. Goals: 40 times wao's with all roles in one node; half of what one hop must cost with each role in its own process.
 */
export default async function* muCrank(): AsyncIterable<BenchLine> {
  const peer = await WaoPeer.start()
  try {
    const pair = peer && ([await peer.spawn(), await peer.spawn()] as const)
    if (peer && pair) await waoHops(peer, pair, 3) // warms up
    const wao = peer && pair && (() => waoHops(peer, pair, waoHopCount))
    for (const [name, shape] of Object.entries(topologies)) yield* oneShape(name, shape, wao)
  } finally {
    await peer?.stop()
  }
}

type WaoRound = (() => Promise<{ readonly hopMs: number; readonly cpuMsPerHop: number }>) | undefined

async function* oneShape(name: string, shape: (typeof topologies)[string], wao: WaoRound): AsyncIterable<BenchLine> {
  const bench = await CrankBench.open(shape, 2)
  try {
    const pingPong = await measure(bench, { tags: [action('Ping'), tag('N', String(hops))], expected: hops, wao })
    const fanOut = await measure(bench, { tags: [action('Fan'), tag('N', String(fan))], expected: fan, wao: undefined })
    const limit = await hopLimit(bench, Object.keys(shape).length > 1 ? 3 : 0)
    const toLimit = (hopMs: number): number => round((limit['limit'] ?? Number.NaN) / hopMs)
    const parts = Object.fromEntries(Object.entries(limit).map(([part, ms]) => [`${part}Ms`, round(ms, 3)]))
    yield { case: `ping-pong, ${name}`, hops, ...pingPong, ratioToLimit: toLimit(pingPong.hopMs), ...parts }
    yield { case: `fan-out of ${fan}, ${name}`, ...fanOut, ratioToLimit: toLimit(fanOut.hopMs) }
  } finally {
    await bench.close()
  }
}

interface Measured {
  readonly hopsPerSecond: number
  readonly hopMs: number
  readonly cpuMsPerHop: number
  readonly waoHopMs?: number
  readonly waoCpuMsPerHop?: number
  readonly ratioToWao?: number
}
interface Case {
  readonly tags: readonly ReturnType<typeof tag>[]
  readonly expected: number
  readonly wao: WaoRound
}

/** Medians over the rounds, in turns with wao; every message sent must have been counted by a Process. */
async function measure(bench: CrankBench, { tags, expected, wao }: Case): Promise<Measured> {
  const [a, b] = bench.processes as readonly [ProcessId, ProcessId]
  const counted = async (): Promise<number> => (await bench.count(a)) + (await bench.count(b))
  const ours: { hopMs: number; cpuMsPerHop: number }[] = []
  const theirs: { hopMs: number; cpuMsPerHop: number }[] = []
  for (let i = 0; i <= rounds; i++) {
    const before = await counted()
    const { pushed, ms, cpuMs } = await bench.converse(a, { tags: [...tags, tag('Peer', b)] })
    const applied = (await counted()) - before
    const own = tags.some(({ value }) => value === 'Ping') ? 1 : 0 // the user's Ping counts too
    if (pushed !== expected || applied !== expected + own) {
      throw new Error(`of ${expected} messages ${pushed} were pushed and ${applied} applied`)
    }
    if (i === 0) continue // it warms up
    ours.push({ hopMs: ms / pushed, cpuMsPerHop: cpuMs / pushed })
    if (wao !== undefined) theirs.push(await wao())
  }
  const middle = (values: typeof ours, of: keyof (typeof ours)[0]): number => median(values.map(value => value[of]))
  const hopMs = middle(ours, 'hopMs')
  const own = {
    hopsPerSecond: round(1000 / hopMs, 1),
    hopMs: round(hopMs),
    cpuMsPerHop: round(middle(ours, 'cpuMsPerHop')),
  }
  if (wao === undefined) return own
  const ratioToWao = round(median(ours.map((run, i) => (theirs[i]?.hopMs ?? Number.NaN) / run.hopMs)), 1)
  return { ...own, waoHopMs: round(middle(theirs, 'hopMs')), waoCpuMsPerHop: middle(theirs, 'cpuMsPerHop'), ratioToWao }
}

// What a flood does to honest callers: p99 of an honest message while a peer floods at ten times what its limit allows,
// beside p99 while a neighbour burns the CPU that the flooder took to send it. The flood is recorded before, the peer is a
// process of its own, new or forgiven in each round, for by the end of one it is banned. `ratioToBurner` is 3 × p99 beside the
// burner over p99 beside the flood: 1 or more means that the flood costs honest callers less than three times that.
import type { BenchLine } from './main.ts'
import { gossipFloods } from './support/flood-gossip.ts'
import { grpcFloods } from './support/flood-grpc.ts'
import type { Siege } from './support/flooder.ts'

/** And one before them, for what either side does for the first time. */
const rounds = 3
const phaseMs = 2_000
const everyMs = 20

export default async function* flood(): AsyncIterable<BenchLine> {
  for (const sieges of [gossipFloods, grpcFloods]) {
    for await (const siege of sieges()) yield await besieged(siege)
  }
}

async function besieged({ name, prepare, honest }: Siege): Promise<BenchLine> {
  const times = { flooded: [] as number[], burned: [] as number[] }
  let sent = 0
  for (let round = 0; round <= rounds; round++) {
    const flooder = await prepare()
    const flooding = flooder.flood(phaseMs)
    const flooded = await meanwhile(honest, flooding)
    const { cpuMs, count } = await flooding
    const burned = await meanwhile(honest, flooder.burn(phaseMs, cpuMs))
    await flooder.stop()
    if (round === 0) continue
    times.flooded.push(...flooded)
    times.burned.push(...burned)
    sent += count
  }
  const [flooded, burned] = [p99(times.flooded), p99(times.burned)]
  return {
    case: name,
    p99BesideFlood: round(flooded),
    p99BesideBurner: round(burned),
    samples: times.flooded.length,
    floodPerSecond: Math.round((sent * 1000) / (rounds * phaseMs)),
    ratioToBurner: round((3 * burned) / flooded),
  }
}

/** Milliseconds that honest messages take until that is over. */
async function meanwhile(honest: () => Promise<void>, work: Promise<unknown>): Promise<readonly number[]> {
  let over = false
  const end = work.finally(() => {
    over = true
  })
  const times: Promise<number>[] = []
  while (!over) {
    const began = performance.now()
    times.push(honest().then(() => performance.now() - began))
    await new Promise(resolve => setTimeout(resolve, everyMs))
  }
  await end
  return Promise.all(times)
}

const p99 = (times: readonly number[]): number =>
  [...times].sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.NaN
const round = (value: number): number => Number(value.toFixed(2))

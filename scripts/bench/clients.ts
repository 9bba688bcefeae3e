import type { ProcessId } from '../../src/protocol/ids.ts'
import type { BenchLine } from './main.ts'
import { AoconnectUser } from './support/aoconnect-user.ts'
import { CrankBench, percentile, round } from './support/crank-bench.ts'
import { median } from './support/measure.ts'
import { pagesOfResults } from './support/results-pages.ts'
import { WaoPeer } from './support/wao-peer.ts'

const rounds = 3
const counts = { ours: { one: 60, many: 256 }, wao: { one: 12, many: 64 } }

/**
 * aoconnect `message` → `result` on an aos Process, unmodified, in turns with npm wao. Goals: a seventh of wao's p50 with
 * aoconnect's signing included; a twentieth, and 60 times the throughput at 64 in flight, with items signed before.
 * And pages of results over a long log, which must not cost more the further they lie.
 */
export default async function* clients(): AsyncIterable<BenchLine> {
  yield* pagesOfResults()
  const bench = await CrankBench.open({ all: ['MU', 'SU', 'CU'] }, 1)
  const peer = await WaoPeer.start()
  try {
    const [process] = bench.processes as readonly [ProcessId]
    const http = String(bench.client.node.info.status['http'])
    const urls = { MU_URL: `${http}/mu`, CU_URL: `${http}/cu` }
    const ours = await AoconnectUser.of(urls, process, {
      counter: () => bench.count(process),
      cpuMs: () => bench.net.cpuMs(),
    })
    const counter = await peer?.spawn()
    const theirs =
      peer &&
      counter &&
      (await AoconnectUser.of(peer.urls, counter, { counter: () => peer.count(counter), cpuMs: () => peer.cpuMs() }))
    await ours.converse(await ours.prepared(20), 1) // warms up
    for (const signed of [false, true]) {
      for (const inFlight of [1, 64]) {
        const name = `message → result, ${inFlight} in flight, ${signed ? 'signed before' : 'signing included'}`
        yield { case: name, ...(await beside(ours, theirs, { signed, inFlight })) }
      }
    }
  } finally {
    await peer?.stop()
    await bench.close()
  }
}

interface Way {
  readonly signed: boolean
  readonly inFlight: number
}

async function beside(
  ours: AoconnectUser,
  theirs: AoconnectUser | undefined,
  way: Way,
): Promise<Omit<BenchLine, 'case'>> {
  const size = way.inFlight === 1 ? 'one' : 'many'
  const own: Measured[] = []
  const peer: Measured[] = []
  for (let i = 0; i < rounds; i++) {
    own.push(await measured(ours, way, counts.ours[size]))
    if (theirs !== undefined && (way.inFlight === 1 || i === 0))
      peer.push(await measured(theirs, way, counts.wao[size]))
  }
  const middle = (of: keyof Measured, runs = own): number => median(runs.map(run => run[of]))
  const found = {
    ...{ p50Ms: round(middle('p50')), p99Ms: round(middle('p99')) },
    ...{ perSecond: round(middle('perSecond'), 1), cpuMs: round(middle('cpuMs')) },
  }
  if (theirs === undefined) return found
  const wao = {
    ...{ waoP50Ms: round(middle('p50', peer)), waoPerSecond: round(middle('perSecond', peer), 1) },
    waoCpuMs: round(middle('cpuMs', peer)),
  }
  const ratioToWao = way.inFlight === 1 ? wao.waoP50Ms / found.p50Ms : found.perSecond / wao.waoPerSecond
  return { ratioToWao: round(ratioToWao, 1), ...found, ...wao }
}

interface Measured {
  readonly p50: number
  readonly p99: number
  readonly perSecond: number
  /** CPU of the units for one message, which says more than the clock on a busy machine. */
  readonly cpuMs: number
}

/** Every message must have been counted. */
async function measured(user: AoconnectUser, { signed, inFlight }: Way, count: number): Promise<Measured> {
  const before = await user.counter()
  const messages = signed ? await user.prepared(count) : user.fresh(count)
  const cpu = user.cpuMs()
  const start = performance.now()
  const waited = await user.converse(messages, inFlight)
  const ms = performance.now() - start
  const cpuMs = (user.cpuMs() - cpu) / count
  const counted = (await user.counter()) - before
  if (counted !== count) throw new Error(`of ${count} messages ${counted} were counted`)
  return { p50: percentile(waited, 50), p99: percentile(waited, 99), perSecond: (count / ms) * 1000, cpuMs }
}

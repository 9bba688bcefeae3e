import type { DataItem } from '../../src/protocol/data-item.ts'
import type { ProcessId } from '../../src/protocol/ids.ts'
import { action, CrankBench, percentile, round, topologies } from './crank-support.ts'
import type { BenchLine } from './main.ts'
import { figure, waoLines } from './wao.ts'

const count = Number(process.env['N'] ?? 200)

/**
 * From submitting at the MU to the result in hand, items signed before. Goals: a twentieth of wao's p50 one at a time,
 * 60 times its throughput with 64 at once.
 */
export default async function* e2e(): AsyncIterable<BenchLine> {
  const wao = await waoLines('accept,e2e', { N: String(Math.min(count, 64)) })
  for (const [name, shape] of Object.entries(topologies)) {
    const bench = await CrankBench.open(shape, 1)
    try {
      await run(bench, { inFlight: 1, count: 30 }) // warms up
      for (const inFlight of [1, 64]) {
        const found = await run(bench, { inFlight, count })
        const p50 = figure(wao, 'wao.e2e', 'p50ms', { what: 'handler' })
        const perSecond = figure(wao, 'wao.accept', 'perSec', { concurrency: 64 })
        const ratioToWao = inFlight === 1 ? p50 / found.p50Ms : found.perSecond / perSecond
        yield {
          ...{ case: `${inFlight} in flight, ${name}`, ...found },
          ...(Number.isNaN(ratioToWao) ? {} : { ratioToWao: round(ratioToWao, 1) }),
        }
      }
    } finally {
      await bench.close()
    }
  }
}

interface Measured {
  readonly count: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuMsPerMessage: number
}

/** Every message must have been counted. */
async function run(
  bench: CrankBench,
  options: { readonly inFlight: number; readonly count: number },
): Promise<Measured> {
  const { inFlight, count } = options
  const [process] = bench.processes as readonly [ProcessId]
  const items: DataItem[] = []
  for (let i = 0; i < count; i++) items.push(await bench.signed(process, [action('Inc')]))
  const before = await bench.count(process)
  const { messenger, compute } = bench.client.node.units
  const waited: number[] = []
  const cpu = bench.net.cpuMs()
  const start = performance.now()
  const next = async (): Promise<void> => {
    for (let item = items.pop(); item !== undefined; item = items.pop()) {
      const sent = performance.now()
      const { nonce } = await messenger.submit(item.raw)
      const { result } = await compute.result(process, nonce)
      if (result.error !== undefined) throw new Error(`the Process failed: ${result.error}`)
      waited.push(performance.now() - sent)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, next))
  const ms = performance.now() - start
  const cpuMs = bench.net.cpuMs() - cpu
  const counted = (await bench.count(process)) - before
  if (counted !== count) throw new Error(`of ${count} messages ${counted} were counted`)
  return {
    ...{ count, perSecond: round((count / ms) * 1000, 1), p50Ms: round(percentile(waited, 50)) },
    ...{ p99Ms: round(percentile(waited, 99)), cpuMsPerMessage: round(cpuMs / count) },
  }
}

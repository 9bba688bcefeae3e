import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { startThread } from '../../src/vm/thread.ts'
import { aosModule } from '../../test/support/modules/aos.ts'
import { environmentOf, idOf, mebibytes } from '../../test/support/modules/process.ts'
import type { Pages } from '../../test/support/modules/watched.ts'
import type { BenchLine } from './main.ts'
import { aosLoad, aosStart } from './support/aos-load.ts'
import type { EvalRequest, EvalSetup, EvalTimes } from './support/eval-worker.ts'
import { median } from './support/measure.ts'
import { wholeCompute } from './support/whole-compute.ts'

const messages = 500
/** The three ways take turns, so that a busy machine slows all alike. */
const perTurn = 25
const ways = ['ours', 'bare', 'stock'] as const
type Way = (typeof ways)[number]

/**
 * Milliseconds from message to result inside the worker that evaluates: 500 messages, half Eval, half token Transfer.
 * `ratioToStock` compares medians, `ratioToLimit` the processor time of the whole run with that of a bare live instance,
 * which counts no gas and could undo nothing. Results and states of all three are asserted to be the same.
 */
export default async function* cuEval(): AsyncIterable<BenchLine> {
  const threads = await openAll()
  try {
    const times = await measure(threads)
    const [ours, bare, stock] = ways.map(way => times[way].ms) as [number[], number[], number[]]
    yield {
      case: `in the worker, ${messages} messages`,
      ratioToStock: rounded(median(stock) / median(ours), 1),
      ratioToLimit: rounded(times.bare.cpuMs / times.ours.cpuMs, 2),
      ...{ oursMs: rounded(median(ours), 3), bareMs: rounded(median(bare), 3), stockMs: rounded(median(stock), 1) },
      ...{ oursP95Ms: rounded(percentile(ours, 95), 3), stockP95Ms: rounded(percentile(stock, 95), 1) },
      ...{ oursCpuMs: rounded(times.ours.cpuMs / messages, 3), bareCpuMs: rounded(times.bare.cpuMs / messages, 3) },
      stockCpuMs: rounded(times.stock.cpuMs / messages, 1),
      ratioToStockOfCpu: rounded(times.stock.cpuMs / times.ours.cpuMs, 1),
    }
    const whole = await wholeCompute(2 * messages)
    yield {
      case: 'whole CU: schedule in, attestation signed, result on disk',
      ratioToStock: rounded((whole.perSecond * sum(stock)) / messages / 1000, 1),
      ...{ perSecond: Math.round(whole.perSecond), cpuMsPerMessage: rounded(whole.cpuMs, 2) },
    }
  } finally {
    await Promise.all(Object.values(threads).map(thread => thread.terminate()))
  }
}

async function openAll(): Promise<Record<Way, Worker>> {
  const { bytes, format } = await aosModule()
  const environment = environmentOf(process_)
  const opened = await Promise.all(
    ways.map(async way => {
      const workerData: EvalSetup = {
        ...{ way, bytes, format, environment },
        ...{ gas: 100_000_000_000n, memoryBytes: mebibytes(512) },
      }
      const resourceLimits = { stackSizeMb: 32, maxOldGenerationSizeMb: 1024, maxYoungGenerationSizeMb: 64 }
      const thread = startThread('eval-worker', new URL('./support/', import.meta.url).href + ending, {
        ...{ workerData, resourceLimits },
        stderr: true,
      })
      await once(thread, 'message')
      return [way, thread] as const
    }),
  )
  return Object.fromEntries(opened) as Record<Way, Worker>
}

/** `startThread` wants the address of a module to stand beside. */
const ending = import.meta.url.endsWith('.ts') ? 'beside.ts' : 'beside.js'
const process_ = idOf('process')

interface Times {
  ms: number[]
  cpuMs: number
  results: string[]
}

async function measure(threads: Record<Way, Worker>): Promise<Record<Way, Times>> {
  const nothing = (): Times => ({ ms: [], cpuMs: 0, results: [] })
  const times: Record<Way, Times> = { ours: nothing(), bare: nothing(), stock: nothing() }
  // As many as it takes to compile what is hot are not counted; the stock loop hardly gains by them.
  const all = aosLoad(process_, messages + warmUp)
  for (const way of ways) await ask(threads[way], { messages: aosStart(process_) })
  for (let at = 0; at < all.length; at += perTurn) {
    for (const way of ways) {
      const { ms, cpuMs, results } = (await ask(threads[way], { messages: all.slice(at, at + perTurn) })) as EvalTimes
      if (at >= warmUp) {
        times[way].ms.push(...ms)
        times[way].cpuMs += cpuMs
      }
      times[way].results.push(...results)
    }
  }
  const states = await Promise.all(ways.map(way => ask(threads[way], 'state') as Promise<Pages>))
  assert.ok((states[0]?.length ?? 0) > 20)
  for (const [i, way] of ways.entries()) {
    assert.deepEqual(times[way].results, times.ours.results, `the results of ${way} differ`)
    assert.deepEqual(states[i], states[0], `the state of ${way} differs`)
  }
  return times
}

const warmUp = 100

async function ask(thread: Worker, request: EvalRequest): Promise<unknown> {
  thread.postMessage(request)
  return (await once(thread, 'message'))[0]
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
const percentile = (values: readonly number[], percent: number): number =>
  [...values].sort((a, b) => a - b)[Math.floor((values.length * percent) / 100)] ?? Number.NaN
const rounded = (value: number, digits: number): number => Number(value.toFixed(digits))

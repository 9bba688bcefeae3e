import { availableParallelism } from 'node:os'
import type { VmImage } from '../../src/ports/vm.ts'
import type { AosModule } from '../../src/testnet/aos-module.ts'
import type { WorkerVmPool } from '../../src/vm/pool.ts'
import { aosModule } from '../../test/support/modules/aos.ts'
import { evalOf } from '../../test/support/modules/process.ts'
import { SeededRandom } from '../../test/support/random.ts'
import type { BenchLine } from './main.ts'
import { type LoadedProcess, openLoaded, spawnLoaded, startPool } from './support/aos-pool.ts'

const processes = 100
/** Calls on their way at a time when the pool is to be as busy as it can. */
const callers = 16
const busyMs = 4_000

/**
 * What more workers give, and what one Process that spins to its gas limit again and again costs 99 others that ask a
 * quarter of what the pool can do.
 */
export default async function* cuParallel(): AsyncIterable<BenchLine> {
  const aos = await aosModule()
  const images = await imagesOf(aos)
  const cores = availableParallelism()
  let one = 0
  for (let workers = 1; workers <= cores; workers++) {
    const rate = await withPool(aos, images, workers, (_, all) => capacity(all))
    if (workers === 1) one = rate
    yield {
      case: `${workers} workers, ${processes} Processes`,
      ratioToLimit: rounded(rate / (one * workers), 2),
      ...{ perSecond: Math.round(rate), cores },
    }
  }
  const workers = Math.max(1, cores - 1)
  yield await withPool(aos, images, workers, (_, all) => besideASpinner(all, workers))
}

async function imagesOf(aos: AosModule): Promise<VmImage[]> {
  const pool = await startPool(1, processes)
  try {
    const images: VmImage[] = []
    for (let i = 0; i < processes; i++) images.push(await (await spawnLoaded(pool, aos, i)).live.snapshot())
    return images
  } finally {
    await pool.stop()
  }
}

async function withPool<T>(
  aos: AosModule,
  images: readonly VmImage[],
  workers: number,
  use: (pool: WorkerVmPool, all: LoadedProcess[]) => Promise<T>,
): Promise<T> {
  const pool = await startPool(workers, processes)
  try {
    const all: LoadedProcess[] = []
    for (const [i, image] of images.entries()) all.push(await openLoaded(pool, aos, image, i))
    await capacity(all) // compiles what is hot
    return await use(pool, all)
  } finally {
    await pool.stop()
  }
}

/** Messages a second with a few callers at a time, each Process in turn. */
async function capacity(all: readonly LoadedProcess[]): Promise<number> {
  let [turn, done] = [0, 0]
  const start = performance.now()
  const caller = async (): Promise<void> => {
    while (performance.now() - start < busyMs) {
      const process = all[turn++ % all.length] as LoadedProcess
      await process.live.handle(process.next())
      done++
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return (done * 1000) / (performance.now() - start)
}

async function besideASpinner(all: readonly LoadedProcess[], workers: number): Promise<BenchLine> {
  const [spinner, ...healthy] = all as [LoadedProcess, ...LoadedProcess[]]
  const rate = (await capacity(healthy)) / 4
  const seconds = Number(process.env['AONET_BENCH_SECONDS'] ?? 30)
  const alone = await openLoop(healthy, rate, seconds)
  let spins = 0
  let spinning = true
  const spin = (async () => {
    for (let nonce = 1_000; spinning; nonce++) {
      const { evaluation } = await spinner.live.handle(evalOf(spinner.process, nonce, 'while true do end'))
      if (evaluation.error !== 'out of gas') throw new Error(`the spinner ended with ${evaluation.error}`)
      spins++
    }
  })()
  const beside = await openLoop(healthy, rate, seconds)
  spinning = false
  await spin
  return {
    case: `99 Processes at ${Math.round(rate)} messages a second beside one that spins, ${workers} workers`,
    ratioToLimit: rounded(percentile(alone, 99) / percentile(beside, 99), 2),
    ...{ aloneP99Ms: rounded(percentile(alone, 99), 1), besideP99Ms: rounded(percentile(beside, 99), 1) },
    ...{ aloneP50Ms: rounded(percentile(alone, 50), 1), besideP50Ms: rounded(percentile(beside, 50), 1) },
    ...{ besideMaxMs: rounded(Math.max(...beside), 0), spins, seconds },
  }
}

/** Milliseconds each call took; they come at the rate whether or not those before are answered. */
async function openLoop(all: readonly LoadedProcess[], rate: number, seconds: number): Promise<number[]> {
  const seeded = new SeededRandom(7)
  const random = (): number => seeded.below(1e9) / 1e9
  const times: number[] = []
  const calls: Promise<void>[] = []
  const call = async (): Promise<void> => {
    const process = all[Math.floor(random() * all.length)] as LoadedProcess
    const start = performance.now()
    await process.live.handle(process.next())
    times.push(performance.now() - start)
  }
  const begin = performance.now()
  for (let due = 0; due < seconds * 1000; due += (-Math.log(1 - random()) * 1000) / rate) {
    const wait = begin + due - performance.now()
    if (wait > 0) await new Promise(resolve => setTimeout(resolve, wait))
    calls.push(call())
  }
  await Promise.all(calls)
  return times
}

const percentile = (values: readonly number[], percent: number): number =>
  [...values].sort((a, b) => a - b)[Math.floor((values.length * percent) / 100)] ?? Number.NaN
const rounded = (value: number, digits: number): number => Number(value.toFixed(digits))

import { once } from 'node:events'
import type { Nonce } from '../../src/protocol/ids.ts'
import { withTempDir } from '../../test/support/builders.ts'
import { forkScript, killHard } from '../../test/support/fork.ts'
import type { BenchLine } from './main.ts'
import { writeAosLog } from './support/aos-schedule.ts'
import { ask, coldCuFile } from './support/cold-client.ts'
import { liveMemory } from './support/live-memory.ts'
import { median } from './support/measure.ts'

/** What a sleeping Process may keep resident. */
const asleepLimitBytes = 100_000
/** Kept awake by the CU that is measured. */
const maxLive = 4
/** Of the Processes, spawned before the first look at the memory: by then the caches of the stores are full. */
const warmUpShare = 0.5
const wakes = 150

/**
 * Memory of aos Processes that live in a worker and of those that sleep on a CU, and how long it takes to wake one and
 * have its next result. At 200 the caches of the stores, which have their limits, are still growing: what a sleeper
 * itself takes shows at 2,000.
 */
export default async function* cuMemory(): AsyncIterable<BenchLine> {
  const sizes = process.env['AONET_BENCH_FULL'] === '1' ? [200, 2_000] : [200]
  yield* liveMemory(sizes)
  for (const processes of sizes) yield* await asleep(processes)
}

async function asleep(processes: number): Promise<readonly BenchLine[]> {
  return withTempDir(async dir => {
    const ids = await writeAosLog(dir, { processes, messages: 4 })
    const child = forkScript(coldCuFile, [dir, 'with', JSON.stringify({ maxLive })], { execArgv: ['--expose-gc'] })
    await once(child, 'message')
    const warmUp = Math.floor(processes * warmUpShare)
    let before = 0
    for (const [i, id] of ids.entries()) {
      if (i === warmUp) before = (await ask(child, { type: 'status' })).rssBytes
      await ask(child, { type: 'result', process: id, nonce: 1 as Nonce })
    }
    const { rssBytes, status } = await ask(child, { type: 'status' })
    const each = Math.max(0, (rssBytes - before) / (processes - warmUp))
    const times: number[] = []
    for (let i = 0; i < wakes; i++) {
      const id = ids[(i * 9) % (processes - maxLive)]
      const nonce = (2 + Math.floor(i / (processes - maxLive))) as Nonce
      if (id !== undefined) times.push((await ask(child, { type: 'result', process: id, nonce })).ms)
    }
    await killHard(child)
    times.sort((a, b) => a - b)
    const { asleep: sleeping, checkpointBytes } = status
    return [
      {
        ...{ case: `asleep, ${processes} aos Processes`, asleep: sleeping, residentBytesEach: Math.round(each) },
        diskBytesEach: Math.round(checkpointBytes / processes),
        ratioToLimit: Number(Math.min(1000, asleepLimitBytes / Math.max(1, each)).toFixed(2)),
      },
      {
        ...{ case: `wake to next result, ${processes} aos Processes`, p50Ms: Math.round(median(times)) },
        p99Ms: Math.round(times[Math.floor(times.length * 0.99)] ?? Number.NaN),
      },
    ]
  })
}

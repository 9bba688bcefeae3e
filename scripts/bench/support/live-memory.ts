import { aosModule } from '../../../test/support/modules/aos.ts'
import type { BenchLine } from '../main.ts'
import { spawnLoaded, startPool } from './aos-pool.ts'

/** What is to be reached at the most, in MB of resident memory for one live aos Process with its rollback image. */
const limitMb = 4

/** Processes before anything is counted: the module is compiled and the heap has its size. */
const warm = 20

/** Resident memory of live aos Processes, each with a token and some messages behind it, all in one worker. */
export async function* liveMemory(sizes: readonly number[]): AsyncIterable<BenchLine> {
  const aos = await aosModule()
  const pool = await startPool(1, Math.max(...sizes) + warm)
  try {
    for (let i = 0; i < warm; i++) await spawnLoaded(pool, aos, -1 - i)
    const before = residentMb()
    let spawned = 0
    for (const size of sizes) {
      for (; spawned < size; spawned++) await spawnLoaded(pool, aos, spawned, 4 + (spawned % 3))
      const each = (residentMb() - before) / size
      yield {
        case: `live, ${size} aos Processes`,
        ratioToLimit: Number((limitMb / each).toFixed(2)),
        ...{ mbEach: Number(each.toFixed(2)), limitMb },
      }
    }
  } finally {
    await pool.stop()
  }
}

const residentMb = (): number => process.memoryUsage.rss() / 1e6

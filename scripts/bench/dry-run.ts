import { aosModule } from '../../test/support/modules/aos.ts'
import { evalOf } from '../../test/support/modules/process.ts'
import type { BenchLine } from './main.ts'
import { type LoadedProcess, spawnLoaded, startPool } from './support/aos-pool.ts'
import { median } from './support/measure.ts'

const rounds = 5
const messages = 100
const question = 'Count = (Count or 0) + 1; return Count'
const spin = 'while true do end'
/** Callers that ask again as soon as they have their answer. */
const loops = 8

/**
 * Dry-runs of one aos Process, and what they cost its messages: `ratioToAlone` is how long a message takes without them
 * beside how long with them, measured in turns; 1 means that they do not slow it down.
 */
export default async function* dryRun(): AsyncIterable<BenchLine> {
  const pool = await startPool(1, 8)
  try {
    const process = await spawnLoaded(pool, await aosModule(), 0)
    const ask = (code: string): Promise<unknown> => process.live.dryRun(evalOf(process.process, 0, code))
    const handle = (): Promise<unknown> => process.live.handle(process.next())
    for (let i = 0; i < messages; i++) {
      await handle()
      await ask(question)
    }
    yield { case: 'dry-run on a state as it was', medianMs: await medianOf(() => ask(question)) }
    const both = await medianOf(async () => {
      await handle()
      await ask(question)
    })
    yield { case: 'message, then dry-run', medianMs: both }
    yield await beside(process, `${loops} loops of dry-runs`, loops, () => ask(question))
    yield await beside(process, 'dry-runs that spin to their gas limit', 1, () => ask(spin))
  } finally {
    await pool.stop()
  }
}

async function beside(
  { live, next }: LoadedProcess,
  what: string,
  callers: number,
  ask: () => Promise<unknown>,
): Promise<BenchLine> {
  const handle = (): Promise<unknown> => live.handle(next())
  const found: { alone: number; busy: number }[] = []
  let asked = 0
  for (let i = 0; i < rounds; i++) {
    const alone = await medianOf(handle)
    let over = false
    const asking = Array.from({ length: callers }, async () => {
      while (!over) {
        await ask()
        asked++
      }
    })
    found.push({ alone, busy: await medianOf(handle) })
    over = true
    await Promise.all(asking)
  }
  const ratio = median(found.map(({ alone, busy }) => alone / busy))
  return {
    ...{ case: `message beside ${what}`, medianMs: median(found.map(({ busy }) => busy)), dryRuns: asked },
    ratioToAlone: Number(ratio.toFixed(2)),
  }
}

/** In milliseconds. */
async function medianOf(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < messages; i++) {
    const start = performance.now()
    await work()
    times.push(performance.now() - start)
  }
  return Number(median(times).toFixed(2))
}

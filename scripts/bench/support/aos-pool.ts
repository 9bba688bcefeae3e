import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import type { LiveProcess, ProcessSetup, VmImage, VmMessage } from '../../../src/ports/vm.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import type { AosModule } from '../../../src/testnet/aos-module.ts'
import { WorkerVmPool } from '../../../src/vm/pool.ts'
import { idOf, mebibytes, setupOf } from '../../../test/support/modules/process.ts'
import { aosLoad, aosStart } from './aos-load.ts'

/** A live aos Process with its token, and the next message it is to get. */
export interface LoadedProcess {
  readonly process: ProcessId
  readonly live: LiveProcess
  next(): VmMessage
}

export async function startPool(workers: number, maxLive: number): Promise<WorkerVmPool> {
  const pool = new WorkerVmPool(silentTelemetry, { workers, maxLive, maxQueued: 100_000, wallClockMs: 60_000 })
  await pool.start()
  return pool
}

export const setupOfAos = (process: ProcessId, aos: AosModule): ProcessSetup => ({
  ...setupOf(process, { bytes: aos.bytes, format: aos.format }),
  limits: { memoryBytes: mebibytes(512), gas: 100_000_000_000n },
})

/** Spawns Process number `i` and gives it its token and some messages. */
export async function spawnLoaded(pool: WorkerVmPool, aos: AosModule, i: number, messages = 4): Promise<LoadedProcess> {
  const process = idOf(`process ${i}`)
  const live = await pool.open(setupOfAos(process, aos))
  for (const message of [...aosStart(process), ...aosLoad(process, messages)]) await live.handle(message)
  return loaded(process, live, messages)
}

/** The same from an image of it. */
export async function openLoaded(
  pool: WorkerVmPool,
  aos: AosModule,
  image: VmImage,
  i: number,
): Promise<LoadedProcess> {
  const process = idOf(`process ${i}`)
  const live = await pool.open({ ...setupOfAos(process, aos), image: structuredClone(image) })
  return loaded(process, live, image.applied - 2)
}

function loaded(process: ProcessId, live: LiveProcess, done: number): LoadedProcess {
  let at = done
  let ahead: VmMessage[] = []
  const next = (): VmMessage => {
    if (at >= ahead.length) ahead = aosLoad(process, at + 500)
    return ahead[at++] as VmMessage
  }
  return { process, live, next }
}

import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { WorkerVmPool, type WorkerVmPoolOptions } from '../../../src/vm/pool.ts'

/** Pools of real worker threads, stopped together. */
export class Pools {
  readonly #started: WorkerVmPool[] = []

  async start(options: Partial<WorkerVmPoolOptions> = {}): Promise<WorkerVmPool> {
    const pool = new WorkerVmPool(silentTelemetry, {
      workers: 1,
      maxLive: 64,
      maxQueued: 100,
      wallClockMs: 60_000,
      ...options,
    })
    this.#started.push(pool)
    await pool.start()
    return pool
  }

  async stop(): Promise<void> {
    await Promise.all(this.#started.splice(0).map(pool => pool.stop()))
  }
}

import { performance } from 'node:perf_hooks'

/** Callers that wait for an evaluation while the CU counts as fully busy. */
const busyWaiting = 64

/** How busy this node is, in percent, since the last time it was asked: its event loop, or its queue of evaluations. */
export class LoadMeter {
  #last = performance.eventLoopUtilization()

  /** @param waiting Callers that wait for an evaluation. */
  percent(waiting: number): number {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, this.#last)
    this.#last = now
    return Math.min(100, Math.round(100 * Math.max(utilization, waiting / busyWaiting)))
  }
}

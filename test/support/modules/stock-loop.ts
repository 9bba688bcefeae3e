import { once } from 'node:events'
import type { VmEnvironment, VmMessage } from '../../../src/ports/vm.ts'
import { type Evaluation, parseEvaluation } from '../../../src/protocol/result.ts'
import { startThread } from '../../../src/vm/thread.ts'

export interface StockRun {
  readonly bytes: Uint8Array
  readonly format: string
  readonly environment: VmEnvironment
  readonly messages: readonly VmMessage[]
}

/**
 * What the loader gives for the messages when driven as the reference CU drives it. In a thread of its own, because it
 * patches the realm it runs in.
 */
export async function runStock(run: StockRun): Promise<Evaluation[]> {
  const worker = startThread('stock-worker', import.meta.url, { workerData: run, stderr: true })
  const [results] = (await once(worker, 'message')) as [unknown[]]
  await worker.terminate()
  return results.map(result => parseEvaluation(result, 0n))
}

import { once } from 'node:events'
import type { VmEnvironment, VmMessage } from '../../../src/ports/vm.ts'
import { type Evaluation, parseEvaluation } from '../../../src/protocol/result.ts'
import { enableMemory64 } from '../../../src/vm/meter/memory64.ts'
import { startThread } from '../../../src/vm/thread.ts'
import type { Pages } from './watched.ts'

export interface StockRun {
  readonly bytes: Uint8Array
  readonly format: string
  readonly environment: VmEnvironment
  readonly messages: readonly VmMessage[]
  /** With our clock and our growth of memory, which a module can see: then the state can be compared too. */
  readonly ourHost?: boolean
}

export interface StockOutcome {
  readonly evaluations: readonly Evaluation[]
  /** Of the state at the end. */
  readonly pages: Pages
}

/**
 * What the loader gives for the messages when driven as the reference CU drives it. In a thread of its own, because it
 * patches the realm it runs in.
 */
export async function runStock(run: StockRun): Promise<StockOutcome> {
  if (run.format.startsWith('wasm64')) enableMemory64()
  const worker = startThread('stock-worker', import.meta.url, { workerData: run, stderr: true })
  const [{ results, pages }] = (await once(worker, 'message')) as [{ results: unknown[]; pages: Pages }]
  await worker.terminate()
  return { evaluations: results.map(result => parseEvaluation(result, 0n)), pages }
}

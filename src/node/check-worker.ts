// A thread of CheckThreads.
import '../lib/polyfill.ts'
import { parentPort, workerData } from 'node:worker_threads'
import { signatureHolds } from '../protocol/check-aside.ts'
import type { CheckAnswer, CheckRequest, CheckThreadData } from './check-packet.ts'

const slots = (workerData as CheckThreadData).slots.map(memory => Buffer.from(memory))

parentPort?.on('message', (request: CheckRequest) => {
  parentPort?.postMessage('large' in request ? Number(holds(request.large)) : checkSlot(request))
})

function checkSlot({ slot, ends }: Extract<CheckRequest, { slot: number }>): CheckAnswer {
  const bytes = slots[slot] ?? Buffer.alloc(0)
  let good = 0
  let start = 0
  for (const [i, end] of ends.entries()) {
    if (holds(bytes.subarray(start, end))) good |= 1 << i
    start = end
  }
  return good
}

/** Bytes that cannot be checked signed nothing; one of a chunk must not take the others with it. */
function holds(bytes: Uint8Array): boolean {
  try {
    return signatureHolds(bytes)
  } catch {
    return false
  }
}

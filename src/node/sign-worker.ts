// The thread of SignThread.
import '../lib/polyfill.ts'
import { parentPort, workerData } from 'node:worker_threads'
import type { Assignment } from '../protocol/assignment.ts'
import { signWithEd25519 } from '../protocol/keys.ts'
import { signRun } from '../protocol/signed-run.ts'
import { toPlainError } from '../vm/worker-messages.ts'
import type { SignAnswer, SignRequest, SignThreadData } from './sign-packet.ts'

const sign = signWithEd25519((workerData as SignThreadData).key)

parentPort?.on('message', async (runs: SignRequest) => {
  try {
    const answer = packed((await Promise.all(runs.map(run => signRun(run, sign)))).flat())
    parentPort?.postMessage(answer, [answer.bytes.buffer as ArrayBuffer])
  } catch (error) {
    parentPort?.postMessage({ failure: toPlainError(error) } satisfies SignAnswer)
  }
})

function packed(signed: readonly Assignment[]) {
  let length = 0
  const ends = signed.map(({ raw }) => (length += raw.length))
  const bytes = new Uint8Array(length)
  for (const [i, { raw }] of signed.entries()) bytes.set(raw, (ends[i] ?? 0) - raw.length)
  return {
    ...{ bytes, ends },
    ids: signed.map(({ id }) => id),
    hashChains: signed.map(({ hashChain }) => hashChain),
  } satisfies SignAnswer
}

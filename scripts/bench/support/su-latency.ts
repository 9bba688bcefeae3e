import { verifyDataItemAside } from '../../../src/protocol/data-item.ts'
import { generateKey, type Signer, signerFromJwk } from '../../../src/protocol/keys.ts'
import type { BenchLine } from '../main.ts'
import { type BenchUnit, type Workload, workload } from './su-support.ts'

const idleMessages = 200
const submitters = 64
const saturatedMessages = 2_000
const halfLoadMs = 1_500
const hotMs = 1_500

/** How long an answer takes: alone, at half of what the scheduler can do, and for a quiet Process beside a hot one. */
export async function* answerTimes(scheduler: Signer, su: BenchUnit): AsyncIterable<BenchLine> {
  const user = signerFromJwk(generateKey('ed25519'))
  const load = await workload(scheduler, user, { processes: 8, count: 16_000 })
  for (const spawn of load.spawns) await su.unit.schedule(spawn)
  const queue = load.messages.values()
  const send = async (): Promise<number> => {
    const { value } = queue.next()
    if (value === undefined) throw new Error('too few messages')
    return timed(su, value)
  }
  const idle: number[] = []
  for (let i = 0; i < idleMessages; i++) idle.push(await send())
  yield { case: 'answer time, idle', ...percentiles(idle) }

  let left = saturatedMessages
  const start = performance.now()
  await Promise.all(
    Array.from({ length: submitters }, async () => {
      while (left-- > 0) await send()
    }),
  )
  const full = (saturatedMessages * 1000) / (performance.now() - start)
  const half = await paced(full / 2, send)
  yield { case: 'answer time, half load', ...percentiles(half), perSecond: Math.round(full / 2) }
  yield* besideHot(scheduler, user, su)
}

/** Sends on time, whether or not the answers come. */
async function paced(perSecond: number, send: () => Promise<number>): Promise<readonly number[]> {
  const answers: Promise<number>[] = []
  const start = performance.now()
  for (let at = 0; at < halfLoadMs; at = performance.now() - start) {
    while (answers.length < (at * perSecond) / 1000) answers.push(send())
    await new Promise(resolve => setImmediate(resolve))
  }
  return Promise.all(answers)
}

async function* besideHot(scheduler: Signer, user: Signer, su: BenchUnit): AsyncIterable<BenchLine> {
  const [hot, quiet] = [await filled(scheduler, user, su, 12_000), await filled(scheduler, user, su, 2_000)]
  const queue = hot.messages.values()
  let over = false
  const flood = Promise.all(
    Array.from({ length: 256 }, async () => {
      for (const bytes of queue) {
        if (over) return
        await timed(su, bytes)
      }
    }),
  )
  const times: number[] = []
  const start = performance.now()
  for (const bytes of quiet.messages) {
    if (performance.now() - start > hotMs) break
    times.push(await timed(su, bytes))
  }
  over = true
  await flood
  yield { case: 'answer time, a quiet Process beside one with 256 messages in flight', ...percentiles(times) }
}

async function filled(scheduler: Signer, user: Signer, su: BenchUnit, count: number): Promise<Workload> {
  const load = await workload(scheduler, user, { processes: 1, count })
  for (const spawn of load.spawns) await su.unit.schedule(spawn)
  return load
}

async function timed({ unit }: BenchUnit, bytes: Uint8Array): Promise<number> {
  const start = performance.now()
  await unit.schedule(await verifyDataItemAside(bytes))
  return performance.now() - start
}

function percentiles(times: readonly number[]) {
  const sorted = [...times].sort((a, b) => a - b)
  const at = (share: number): number => Number((sorted[Math.floor(sorted.length * share)] ?? Number.NaN).toFixed(2))
  return { p50Ms: at(0.5), p99Ms: at(0.99), answers: times.length }
}

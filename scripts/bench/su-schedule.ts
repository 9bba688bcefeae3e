import { verifyDataItem, verifyDataItemAside } from '../../src/protocol/data-item.ts'
import type { Nonce, ProcessId } from '../../src/protocol/ids.ts'
import { generateKey, type Signer, signerFromJwk } from '../../src/protocol/keys.ts'
import type { BenchLine } from './main.ts'
import { median } from './measure.ts'
import { type BenchUnit, benchUnit, cores, fill, measureParts, sumOf, type Workload, workload } from './su-support.ts'

const submitters = 64
const rounds = 5
/** Messages of one round. */
const perRound = 600

/**
 * Durable assignments a second against the sum of what one must cost, measured in turns in the same run.
 * AONET_BENCH_LOG names the sizes of the log to begin with, such as 0,100000,1000000.
 */
export default async function* suSchedule(): AsyncIterable<BenchLine> {
  const scheduler = signerFromJwk(generateKey('ed25519'))
  const sizes = (process.env['AONET_BENCH_LOG'] ?? '0,100000').split(',').map(Number)
  for (const kind of ['ed25519', 'rsa'] as const) {
    const user = signerFromJwk(generateKey(kind))
    for (const processes of [1, 8, 1000]) {
      const load = await workload(scheduler, user, { processes, count: rounds * perRound })
      for (const size of sizes) yield await measured(scheduler, load, { kind, processes, size })
    }
  }
}

async function measured(
  scheduler: Signer,
  load: Workload,
  { kind, processes, size }: { readonly kind: string; readonly processes: number; readonly size: number },
): Promise<BenchLine> {
  const su = await benchUnit(scheduler)
  try {
    for (const spawn of load.spawns) await su.unit.schedule(spawn)
    await fill(su.log, load.spawns, size)
    const [first] = load.messages
    if (first === undefined) throw new Error('no messages')
    const sample = await verifyDataItem(first)
    const results: { rate: number; limit: number; cpu: number }[] = []
    for (let round = 0; round < rounds; round++) {
      const parts = await measureParts(sample, scheduler, su.store)
      const ran = await submitAll(su, load.messages.slice(round * perRound, (round + 1) * perRound))
      results.push({ ...ran, limit: (1000 * cores) / sumOf(parts) })
    }
    await assertOrdered(su, load, size)
    return {
      case: `${kind}, ${processes} processes, log of ${size}`,
      ratioToLimit: round2(median(results.map(({ rate, limit }) => rate / limit))),
      ours: Math.round(median(results.map(({ rate }) => rate))),
      limit: Math.round(median(results.map(({ limit }) => limit))),
      cpuMsPerMessage: round2(median(results.map(({ cpu }) => cpu)), 1000),
    }
  } finally {
    await su.close()
  }
}

/** All messages through `submitters` that wait each for their answer: checked here, ordered and durable there. */
async function submitAll({ unit }: BenchUnit, messages: readonly Uint8Array[]): Promise<{ rate: number; cpu: number }> {
  const queue = messages.values()
  const cpu = process.cpuUsage()
  const start = performance.now()
  await Promise.all(
    Array.from({ length: submitters }, async () => {
      for (const bytes of queue) await unit.schedule(await verifyDataItemAside(bytes))
    }),
  )
  const { user, system } = process.cpuUsage(cpu)
  const ms = performance.now() - start
  return { rate: (messages.length * 1000) / ms, cpu: (user + system) / 1000 / messages.length }
}

async function assertOrdered({ log }: BenchUnit, { spawns, messages }: Workload, size: number): Promise<void> {
  const expected = spawns.length + messages.length + size
  if ((await log.size()) !== expected) throw new Error(`the log has ${await log.size()} rows, not ${expected}`)
  for (const { id } of spawns.slice(0, 10)) {
    let nonce = 0
    for await (const { assignment } of log.read(id as string as ProcessId, { from: 0 as Nonce })) {
      if (assignment.nonce !== nonce++) throw new Error(`nonce ${nonce - 1} is missing`)
    }
  }
}

const round2 = (value: number, scale = 100): number => Math.round(value * scale) / scale

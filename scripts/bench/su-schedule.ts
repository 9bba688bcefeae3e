import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toUtf8 } from '../../src/lib/bytes.ts'
import { draftAssignment, nextAssignment } from '../../src/protocol/assignment.ts'
import { verifyDataItem, verifyDataItemAside } from '../../src/protocol/data-item.ts'
import type { MessageId, Nonce, ProcessId } from '../../src/protocol/ids.ts'
import { generateKey, type Signer, signerFromJwk } from '../../src/protocol/keys.ts'
import type { BenchLine } from './main.ts'
import { median } from './measure.ts'
import { ClientProcess, type Door, openDoor, openEcho, type Ran, writeMessages } from './su-grpc.ts'
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
  const dir = await mkdtemp(join(tmpdir(), 'aonet-bench-'))
  const client = new ClientProcess()
  try {
    for (const kind of ['ed25519', 'rsa'] as const) {
      const user = signerFromJwk(generateKey(kind))
      for (const processes of [1, 8, 1000]) {
        const load = await workload(scheduler, user, { processes, count: rounds * perRound })
        const file = join(dir, `${kind} ${processes}`)
        await writeMessages(file, load.messages)
        for (const size of sizes) {
          const name = `${kind}, ${processes} processes, log of ${size}`
          yield { case: `${name}, in program`, ...(await measured(scheduler, load, size, inProgram)) }
          const overGrpc = grpcSubmit(client, file)
          yield { case: `${name}, over gRPC`, ...(await measured(scheduler, load, size, overGrpc)) }
        }
      }
    }
  } finally {
    await client.stop()
    await rm(dir, { recursive: true, force: true })
  }
}

/** Submits the messages `from` to `to`; `extra` is what its way to the scheduler must cost beside the parts of all. */
interface Way {
  readonly submit: (from: number, to: number) => Promise<Ran>
  readonly extra: (from: number, to: number) => Promise<number>
  readonly close: () => Promise<void>
}
type OpenWay = (su: BenchUnit, scheduler: Signer, load: Workload) => Promise<Way>

async function measured(
  scheduler: Signer,
  load: Workload,
  size: number,
  open: OpenWay,
): Promise<Omit<BenchLine, 'case'>> {
  const su = await benchUnit(scheduler)
  const way = await open(su, scheduler, load)
  try {
    for (const spawn of load.spawns) await su.unit.schedule(spawn)
    await fill(su.log, load.spawns, size)
    const sample = await verifyDataItem(load.messages[0] ?? new Uint8Array(0))
    const results: { rate: number; limit: number; cpu: number; leastCpu: number }[] = []
    for (let round = 0; round < rounds; round++) {
      const [from, to] = [round * perRound, (round + 1) * perRound]
      const parts = await measureParts(sample, su.store)
      const extra = await way.extra(from, to)
      const cpu = process.cpuUsage()
      const ran = await way.submit(from, to)
      const { user, system } = process.cpuUsage(cpu)
      const own = (user + system) / 1000
      const limit = (1000 * cores) / (sumOf(parts.wall) + extra)
      const leastCpu = sumOf(parts.cpu) + extra
      results.push({ rate: (perRound * 1000) / ran.ms, limit, cpu: (own + ran.cpu) / perRound, leastCpu })
    }
    await assertOrdered(su, load, size)
    return {
      ratioToLimit: rounded(median(results.map(({ rate, limit }) => rate / limit)), 100),
      ours: Math.round(median(results.map(({ rate }) => rate))),
      limit: Math.round(median(results.map(({ limit }) => limit))),
      // On a machine that others use too, this says more: processor time that must be, of what was.
      ratioOfCpu: rounded(median(results.map(({ cpu, leastCpu }) => leastCpu / cpu)), 100),
      cpuMsPerMessage: rounded(median(results.map(({ cpu }) => cpu)), 1000),
    }
  } finally {
    await way.close()
    await su.close()
  }
}

/** Through `submitters` of this program that wait each for their answer: checked here, ordered and durable there. */
const inProgram: OpenWay = async ({ unit }, _, { messages }) => ({
  submit: async (from, to) => {
    const queue = messages.slice(from, to).values()
    const start = performance.now()
    await Promise.all(
      Array.from({ length: submitters }, async () => {
        for (const bytes of queue) await unit.schedule(await verifyDataItemAside(bytes))
      }),
    )
    return { ms: performance.now() - start, cpu: 0 }
  },
  extra: async () => 0,
  close: async () => undefined,
})

/** From a process of its own, over one submit stream. */
const grpcSubmit =
  (client: ClientProcess, file: string): OpenWay =>
  async ({ unit }, scheduler) => {
    const door = await openDoor(scheduler, unit)
    const echo = await openEcho(scheduler, await anAssignment(scheduler))
    const errand = (at: Door, from: number, to: number, raw: boolean) => {
      const certificate = Buffer.from(at.certificate.der).toString('base64')
      return { endpoint: at.endpoint, address: scheduler.address, certificate, file, from, to, submitters, raw }
    }
    return {
      submit: (from, to) => client.run(errand(door, from, to, false)),
      extra: async (from, to) => {
        const cpu = process.cpuUsage()
        const ran = await client.run(errand(echo, from, to, true))
        const { user, system } = process.cpuUsage(cpu)
        return ((user + system) / 1000 + ran.cpu) / (to - from)
      },
      close: async () => {
        await door.stop()
        await echo.stop()
      },
    }
  }

async function anAssignment(signer: Signer): Promise<Uint8Array> {
  const [process, message] = [signer.address as string as ProcessId, signer.address as string as MessageId]
  const block = { height: 1, hash: toUtf8(Buffer.alloc(64, 'x')), timestamp: 1 }
  const first = nextAssignment(undefined, { process, message, now: 1, block })
  return (await signer.sign(draftAssignment({ ...first, nonce: 1 as Nonce }))).raw
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

const rounded = (value: number, scale: number): number => Math.round(value * scale) / scale

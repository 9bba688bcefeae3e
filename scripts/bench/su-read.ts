import { silentTelemetry } from '../../src/lib/telemetry.ts'
import { ChannelPool } from '../../src/network/grpc/channel-pool.ts'
import { streamCall } from '../../src/network/grpc/client-calls.ts'
import { defaultPool, GrpcUnits } from '../../src/network/grpc/clients.ts'
import { SchedulerService } from '../../src/network/grpc/generated/ao/v1/scheduler.ts'
import type { Scheduler } from '../../src/ports/units.ts'
import { verifyDataItem } from '../../src/protocol/data-item.ts'
import type { Id, Nonce, ProcessId } from '../../src/protocol/ids.ts'
import { generateKey, signerFromJwk } from '../../src/protocol/keys.ts'
import type { BenchLine } from './main.ts'
import { median } from './support/measure.ts'
import { type Door, openDoor } from './support/su-grpc.ts'
import { benchUnit, workload } from './support/su-support.ts'

const count = 3_000
const rounds = 5

/**
 * Assignments with their messages streamed a second to a reader over gRPC, all in one program: against reading the
 * same from the disk alone, and against a stream of the same bytes from memory alone.
 */
export default async function* suRead(): AsyncIterable<BenchLine> {
  const signer = signerFromJwk(generateKey('ed25519'))
  const load = await workload(signer, signerFromJwk(generateKey('ed25519')), { processes: 1, count })
  const su = await benchUnit(signer)
  const pool = new ChannelPool(defaultPool)
  const units = new GrpcUnits(silentTelemetry)
  const doors: Door[] = []
  try {
    const [spawn] = load.spawns
    if (spawn === undefined) throw new Error('no process')
    const process = spawn.id as Id as ProcessId
    await su.unit.schedule(spawn)
    await Promise.all(load.messages.map(async bytes => su.unit.schedule(await verifyDataItem(bytes))))
    const range = { from: 0 as Nonce }
    const rows = await collect(su.unit.read(process, range))
    const memory: Scheduler = {
      ...absent,
      read: async function* () {
        yield* rows
      },
    }
    const [ours, socket] = [await openDoor(signer, su.unit), await openDoor(signer, memory)]
    doors.push(ours, socket)
    const peer = (door: Door) => ({ address: signer.address, grpc: door.endpoint, certificate: door.certificate.der })
    const request = { process, from: 0, to: undefined, follow: false, kept: false }
    const unchecked = (door: Door) => () => streamCall(pool, peer(door), SchedulerService.readSchedule, request, {})
    const ways = {
      disk: () => su.log.read(process, range),
      socket: unchecked(socket),
      ours: unchecked(ours),
      checked: () => units.scheduler(peer(ours) as Parameters<GrpcUnits['scheduler']>[0]).read(process, range),
    }
    const found: Record<keyof typeof ways, number>[] = []
    for (let round = 0; round <= rounds; round++) {
      const rates = { disk: 0, socket: 0, ours: 0, checked: 0 }
      for (const name of Object.keys(ways) as (keyof typeof ways)[]) rates[name] = await rateOf(ways[name])
      if (round > 0) found.push(rates) // the first warms up
    }
    const middle = (pick: (rates: (typeof found)[number]) => number): number => median(found.map(pick))
    yield {
      case: `${count} rows of one Process`,
      ratioToLimit: Number(middle(({ ours, disk, socket }) => ours / Math.min(disk, socket)).toFixed(2)),
      ratioToSum: Number(middle(({ ours, disk, socket }) => ours * (1 / disk + 1 / socket)).toFixed(2)),
      ours: Math.round(middle(({ ours }) => ours)),
      disk: Math.round(middle(({ disk }) => disk)),
      socket: Math.round(middle(({ socket }) => socket)),
      checkedByReader: Math.round(middle(({ checked }) => checked)),
    }
  } finally {
    await units.stop()
    await pool.close()
    for (const door of doors) await door.stop()
    await su.close()
  }
}

async function rateOf(read: () => AsyncIterable<unknown>): Promise<number> {
  const start = performance.now()
  let rows = 0
  for await (const _ of read()) rows++
  if (rows !== count + 1) throw new Error(`${rows} rows, not ${count + 1}`)
  return (rows * 1000) / (performance.now() - start)
}

async function collect<T>(source: AsyncIterable<T>): Promise<readonly T[]> {
  const all: T[] = []
  for await (const one of source) all.push(one)
  return all
}

const unused = async (): Promise<never> => {
  throw new Error('not in this bench')
}
const absent = { schedule: unused, assign: unused, clock: unused, assignment: unused, process: unused }

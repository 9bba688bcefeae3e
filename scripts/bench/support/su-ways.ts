import { toUtf8 } from '../../../src/lib/bytes.ts'
import { draftAssignment, nextAssignment } from '../../../src/protocol/assignment.ts'
import { verifyDataItemAside } from '../../../src/protocol/data-item.ts'
import type { MessageId, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import type { Signer } from '../../../src/protocol/keys.ts'
import type { SchedulerUnit } from '../../../src/units/scheduler/scheduler.ts'
import { type ClientProcess, type Door, openDoor, openEcho, type Ran } from './su-grpc.ts'
import type { BenchUnit, Workload } from './su-support.ts'

const submitters = 64

/** An SU on a log of some size. */
export interface Site {
  readonly size: number
  readonly su: BenchUnit
  /** What filling it took: Processes, and the memory of this program before and after. */
  readonly filled: Readonly<Record<string, number>>
  readonly ways: readonly Way[]
  close(): Promise<void>
}
/** Messages `from` to `to` of a workload, which lie in `file` too. */
export interface Range {
  readonly load: Workload
  readonly file: string
  readonly from: number
  readonly to: number
}
/** A way to the scheduler; `extra` is what it must cost for a message beside the parts of all, in milliseconds. */
export interface Way {
  readonly name: string
  submit(range: Range): Promise<Ran>
  extra(range: Range): Promise<number>
  close(): Promise<void>
}

/** Through submitters of this program that wait each for their answer: checked here, ordered and durable there. */
export const inProgram = (unit: SchedulerUnit): Way => ({
  name: 'in program',
  submit: async ({ load, from, to }) => {
    const queue = load.messages.slice(from, to).values()
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
export async function grpcWay(client: ClientProcess, scheduler: Signer, unit: SchedulerUnit): Promise<Way> {
  const door = await openDoor(scheduler, unit)
  const echo = await openEcho(scheduler, await anAssignment(scheduler))
  const errand = (at: Door, { file, from, to }: Range, raw: boolean) => {
    const certificate = Buffer.from(at.certificate.der).toString('base64')
    return { endpoint: at.endpoint, address: scheduler.address, certificate, file, from, to, submitters, raw }
  }
  return {
    name: 'over gRPC',
    submit: range => client.run(errand(door, range, false)),
    extra: async range => {
      const cpu = process.cpuUsage()
      const ran = await client.run(errand(echo, range, true))
      const { user, system } = process.cpuUsage(cpu)
      return ((user + system) / 1000 + ran.cpu) / (range.to - range.from)
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

/** Every message is in the log, none twice, and each Process's nonces have no gap. */
export async function assertOrdered({ log }: BenchUnit, { spawns, messages }: Workload, before: number): Promise<void> {
  const expected = before + messages.length
  if ((await log.size()) !== expected) throw new Error(`the log has ${await log.size()} rows, not ${expected}`)
  for (const { id } of spawns.slice(0, 10)) {
    let nonce = 0
    for await (const { assignment } of log.read(id as string as ProcessId, { from: 0 as Nonce })) {
      if (assignment.nonce !== nonce++) throw new Error(`nonce ${nonce - 1} is missing`)
    }
  }
}

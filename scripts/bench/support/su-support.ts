import { constants, sign as edSign, generateKeyPairSync, randomBytes, verify } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { sha256, utf8 } from '../../../src/lib/bytes.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { mapLimited } from '../../../src/lib/map-limited.ts'
import { silentLogger, silentTelemetry } from '../../../src/lib/telemetry.ts'
import { MemoryGossipHub } from '../../../src/network/memory-gossip.ts'
import { CheckThreads } from '../../../src/node/check-threads.ts'
import { SignThread } from '../../../src/node/sign-thread.ts'
import { type Assignment, draftAssignment, nextAssignment, parseAssignment } from '../../../src/protocol/assignment.ts'
import { encodeTags } from '../../../src/protocol/avro-tags.ts'
import { buildDataItem, type DataItem, signedDigest } from '../../../src/protocol/data-item.ts'
import { deepHash as hashDeeply } from '../../../src/protocol/deep-hash.ts'
import { type Id, idFromBytes, idToBytes, type MessageId, type ProcessId } from '../../../src/protocol/ids.ts'
import { generateKey, type Signer, signerFromJwk } from '../../../src/protocol/keys.ts'
import { ed25519Key, rsaKey } from '../../../src/protocol/public-keys.ts'
import { tagsOf } from '../../../src/protocol/tags.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelAssignmentLog } from '../../../src/storage/level-assignment-log.ts'
import { LevelScheduleFloor } from '../../../src/storage/level-schedule-floor.ts'
import { LevelSignGuard } from '../../../src/storage/level-sign-guard.ts'
import { put, type Store } from '../../../src/storage/store.ts'
import { SchedulerUnit } from '../../../src/units/scheduler/scheduler.ts'
import { defaultSchedulerUnitOptions } from '../../../src/units/scheduler/scheduler-options.ts'

export const cores = availableParallelism()
/** Baselines' workload: 1 KiB of data and 8 tags. */
const dataBytes = 1024

export interface Workload {
  readonly spawns: readonly DataItem[]
  /** Signed bytes of messages, the Processes in turn. */
  readonly messages: readonly Uint8Array[]
}

/** `count` signed messages for `processes` Processes of this scheduler. */
export async function workload(
  scheduler: Signer,
  user: Signer,
  { processes, count }: { readonly processes: number; readonly count: number },
): Promise<Workload> {
  const spawner = signerFromJwk(generateKey('ed25519'))
  const spawns: DataItem[] = []
  for (let i = 0; i < processes; i++) {
    const tags = tagsOf(
      ...([
        ['Data-Protocol', 'ao'],
        ['Type', 'Process'],
        ['Variant', 'ao.TN.1'],
      ] as const),
      ...([
        ['Module', scheduler.address],
        ['Scheduler', scheduler.address],
        ['Name', String(i)],
      ] as const),
    )
    spawns.push(await spawner.sign({ tags, data: new Uint8Array(1) }))
  }
  const targets = Array.from({ length: count }, (_, i) => spawns[i % processes]?.id as Id as ProcessId)
  const messages = await mapLimited(targets, 2 * cores, async target => {
    return (await user.sign({ target, tags: messageTags, data: randomBytes(dataBytes) })).raw
  })
  return { spawns, messages }
}

const messageTags = tagsOf(
  ...([
    ['Data-Protocol', 'ao'],
    ['Type', 'Message'],
    ['Variant', 'ao.TN.1'],
    ['SDK', 'aoconnect'],
  ] as const),
  ...([
    ['Action', 'Transfer'],
    ['Quantity', '1000000000000'],
    ['X-Note', 'bench'],
    ['Content-Type', 'text/plain'],
  ] as const),
)

export interface BenchUnit {
  readonly unit: SchedulerUnit
  readonly log: LevelAssignmentLog
  readonly store: Store
  close(): Promise<void>
}

/** An SU over a LevelDB of its own, ready to order. */
export async function benchUnit(signer: Signer): Promise<BenchUnit> {
  const dir = await mkdtemp(join(tmpdir(), 'aonet-bench-'))
  const store = await openStore(dir, { log: silentLogger })
  const log = new LevelAssignmentLog(store)
  const gossip = new MemoryGossipHub().join('su')
  const unit = new SchedulerUnit(
    {
      ...{ signer, log, guard: new LevelSignGuard(store), clock: systemClock, telemetry: silentTelemetry },
      ...{ floor: new LevelScheduleFloor(store), arweave: new MemoryArweave(), gossip },
    },
    { ...defaultSchedulerUnitOptions, headPollMs: 1_000 },
  )
  const threads = [new CheckThreads(silentTelemetry), new SignThread(silentTelemetry)]
  for (const each of threads) await each.start()
  await unit.start()
  await new Promise(resolve => setTimeout(resolve, 50)) // the first block
  const close = async (): Promise<void> => {
    await unit.stop()
    for (const each of threads) await each.stop()
    await store.close()
    await rm(dir, { recursive: true, force: true })
  }
  return { unit, log, store, close }
}

/** Fills the schedules of these Processes. The log does not check signatures, so these are random bytes. */
export async function fill(log: LevelAssignmentLog, spawns: readonly DataItem[], count: number): Promise<void> {
  const forged = {
    signatureType: 2,
    ownerKey: randomBytes(32),
    sign: randomSignature,
  } as const
  const tails = new Map<ProcessId, Assignment | undefined>()
  for (const { id } of spawns) tails.set(id as Id as ProcessId, await log.tail(id as Id as ProcessId))
  const processes = [...tails.keys()]
  const data = randomBytes(dataBytes)
  const templates = new Map<ProcessId, DataItem>()
  for (const target of processes)
    templates.set(target, await buildDataItem({ target, tags: messageTags, data }, forged))
  const block = { height: 1_400_000, hash: 'block', timestamp: 1 }
  let written: Promise<unknown> = Promise.resolve()
  for (let done = 0; done < count; done += 1000) {
    const batch = []
    for (let i = done; i < Math.min(count, done + 1000); i++) {
      const process = processes[i % processes.length] as ProcessId
      const message = signedAnew(templates.get(process) as DataItem)
      const fields = nextAssignment(tails.get(process), { process, message: message.id, now: 1_000, block })
      const assignment = parseAssignment(await buildDataItem(draftAssignment(fields), forged))
      tails.set(process, assignment)
      batch.push({ assignment, message })
    }
    await written
    written = log.append(batch, { guarded: true, lookedUp: true })
  }
  await written
}

/** Taken a thousand at a time: a call to the system for each would cost more than the row. */
function randomSignature(): Buffer {
  if (noise.length < 64) noise = randomBytes(64_000)
  const signature = noise.subarray(0, 64)
  noise = noise.subarray(64)
  return signature
}
let noise = Buffer.alloc(0)

/** The same item with another signature of random bytes, and so another id. */
function signedAnew(item: DataItem): DataItem {
  const raw = Buffer.from(item.raw)
  const signature = raw.subarray(2, 66)
  signature.set(randomSignature())
  return { ...item, raw, signature, id: idFromBytes<MessageId>(sha256(signature)) }
}

/** What one message must cost, in milliseconds of one core. */
export interface Parts {
  readonly check: number
  readonly deepHash: number
  readonly sign: number
  readonly syncShare: number
}

/** The sum that no scheduler gets below: check, two deep hashes, a signature, a share of a synced batch of 100. */
export const sumOf = ({ check, deepHash, sign, syncShare }: Parts): number => check + 2 * deepHash + sign + syncShare

/** Measures each part on this thread, as the machine is now: by the clock, and by the processor's time. */
export async function measureParts(
  item: DataItem,
  store: Store,
): Promise<{ readonly wall: Parts; readonly cpu: Parts }> {
  const digest = signedDigest(item)
  const key = item.signatureType === 1 ? rsaKey(item.ownerKey) : ed25519Key(item.ownerKey)
  if (key === undefined) throw new Error('not a key')
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_AUTO: saltLength } = constants
  const check = await costOf(async () =>
    item.signatureType === 1
      ? verify('sha256', digest, { key, padding, saltLength }, item.signature)
      : verify(null, digest, key, item.signature),
  )
  const parts8 = [...['dataitem', '1', String(item.signatureType)].map(utf8), item.ownerKey]
  const rest = [idToBytes(item.target ?? ('' as Id)), item.anchor, encodeTags(item.tags), item.data]
  const deepHash = await costOf(async () => hashDeeply([...parts8, ...rest])) // whole, as anybody's library does it
  const own = generateKeyPairSync('ed25519').privateKey
  const sign = await costOf(async () => edSign(null, digest, own))
  const value = randomBytes(2048)
  const batch = await costOf(() =>
    store.write(Array.from({ length: 100 }, (_, i) => put(Buffer.from(`bench\0${i}`), value))),
  )
  const parts = (of: keyof Cost): Parts => {
    return { check: check[of], deepHash: deepHash[of], sign: sign[of], syncShare: batch[of] / 100 }
  }
  return { wall: parts('wall'), cpu: parts('cpu') }
}

/** Milliseconds of one run. */
interface Cost {
  readonly wall: number
  readonly cpu: number
}

async function costOf(run: () => Promise<unknown>, ms = 80): Promise<Cost> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  let count = 0
  while (performance.now() - start < ms) {
    await run()
    count++
  }
  const { user, system } = process.cpuUsage(cpu)
  return { wall: (performance.now() - start) / count, cpu: (user + system) / 1000 / count }
}

import { failpoint } from '../../lib/failpoint.ts'
import type { AssignmentLog } from '../../ports/assignment-log.ts'
import type { SignGuard, SignPromise } from '../../ports/sign-guard.ts'
import { type Assignment, type BlockAnchor, planAssignment } from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { MessageId, ProcessId } from '../../protocol/ids.ts'
import type { Origin } from '../../protocol/origin.ts'
import { behindFloor } from './refusals.ts'

/** A message that asks for a place. */
export interface Request {
  readonly process: ProcessId
  readonly id: MessageId
  /** Absent where an item that is on Arweave already is assigned. */
  readonly message: DataItem | undefined
  readonly exclude?: readonly string[] | undefined
  readonly origin: Origin | undefined
  readonly bytes: number
  readonly resolve: (assignment: Assignment) => void
  readonly reject: (error: unknown) => void
}
/** A message with its place, and whoever waits for it: more than one if it was sent twice. */
export interface Planned {
  readonly promise: SignPromise
  readonly waiting: Request[]
}
/** A batch that was signed just before and may not be in the log yet. */
export interface Ahead {
  /** The newest Assignment of a Process in it. */
  readonly tailOf: (process: ProcessId) => Assignment | undefined
  /** Whether the message is in it; then it is answered as the first that brought it. */
  takes(request: Request): boolean
}
export interface PlanDeps {
  readonly log: AssignmentLog
  readonly guard: SignGuard
  readonly now: () => number
  readonly block: BlockAnchor
  /** Which turn of hosting a Process this is; default: as in the log. */
  readonly epochOf?: ((process: ProcessId) => number) | undefined
  /** The batch before, if it may not be in the log yet. */
  readonly ahead?: Ahead | undefined
}

/** Gives places to the messages that have none yet, and answers for those that have. Nothing is written. */
export async function planBatch(batch: readonly Request[], deps: PlanDeps): Promise<readonly Planned[]> {
  const sought = batch.map(({ process, id, origin }) => ({ process, message: id, origin }))
  const earlier = await deps.log.findMany(sought)
  failpoint('su-looked-up')
  const fresh = new Map<ProcessId, Request[]>()
  for (const [i, request] of batch.entries()) {
    const known = earlier[i]
    const requests = fresh.get(request.process)
    if (known !== undefined) request.resolve(known)
    else if (deps.ahead?.takes(request) === true) continue
    else if (requests === undefined) fresh.set(request.process, [request])
    else requests.push(request)
  }
  const planned = await Promise.all([...fresh].map(([process, requests]) => planProcess(process, requests, deps)))
  return planned.flat()
}

async function planProcess(
  process: ProcessId,
  requests: readonly Request[],
  { log, guard, now, block, ahead, epochOf }: PlanDeps,
): Promise<readonly Planned[]> {
  const tail = ahead?.tailOf(process) ?? (await log.tail(process))
  const floor = await guard.floor(process)
  failpoint('su-floor-known')
  if (
    floor !== undefined &&
    floor.epoch >= (epochOf?.(process) ?? tail?.epoch ?? 0) &&
    floor.nonce > (tail?.nonce ?? -1)
  ) {
    for (const { reject } of requests) reject(behindFloor(floor, tail))
    return []
  }
  const epoch = epochOf?.(process)
  const byName = new Map<string, Planned>()
  const planned: Planned[] = []
  let previous = tail === undefined ? undefined : (tail as SignPromise['plan'])
  for (const request of requests) {
    const { id, message, origin, exclude } = request
    const twin = byName.get(id) ?? (origin && byName.get(origin))
    if (twin !== undefined) {
      twin.waiting.push(request)
      continue
    }
    previous = planAssignment(previous, { process, message: id, now: now(), block, exclude, epoch })
    const entry: Planned = { promise: { plan: previous, message, origin }, waiting: [request] }
    planned.push(entry)
    byName.set(id, entry)
    if (origin !== undefined) byName.set(origin, entry)
  }
  return planned
}

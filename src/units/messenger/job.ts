import { sha256, utf8 } from '../../lib/bytes.ts'
import type { CrankJob } from '../../ports/crank-queue.ts'
import type { CrankPart, PinnedResult } from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import type { Attestation } from '../../protocol/attestation.ts'
import { cronText } from '../../protocol/cron.ts'
import { idFromBytes, type MessageId } from '../../protocol/ids.ts'
import type { Outbox, Result } from '../../protocol/result.ts'

/** A message with its place. `item`: its signed bytes, where they are at hand. */
export type Ordered = Pick<Assignment, 'process' | 'message' | 'nonce'> & {
  readonly epoch?: number | undefined
  readonly item?: Uint8Array | undefined
}

/** Larger messages are not kept to be ordered again: they are asked for among peers and on Arweave. */
const maxKeptItem = 64 * 1024

/** A message that is ordered and whose outbox nobody has asked for yet. */
export const newJob = (
  { process, message, nonce, epoch, item }: Ordered,
  { root, depth, now, only }: { root: MessageId; depth: number; now: number; only?: number | undefined },
): CrankJob => ({
  ...{ process, message, nonce, root, depth, dueAt: now, at: now },
  ...(epoch === undefined || epoch === 0 ? {} : { epoch }),
  ...(only === undefined ? {} : { only }),
  ...(item === undefined || item.length > maxKeptItem ? {} : { item }),
  ...{ state: 'queued', attempts: 0, parts: [], reason: undefined, result: undefined },
})

/** One that an SU of another network has ordered: nothing is left to do here. */
export const foreignJob = (job: CrankJob, url: string): CrankJob => ({
  ...job,
  state: 'done',
  reason: `ordered by the SU ${url} of another network: what it sets off is pushed there`,
})

/** A cron message has no id: one is made of its place, so that one place has one job. It is the root of what it sets off. */
export function newCronJob({ process, nonce, cron }: Result, now: number): readonly CrankJob[] {
  if (cron === undefined) return []
  const id = idFromBytes<MessageId>(sha256(utf8(`cron ${process} ${nonce} ${cronText(cron)}`)))
  return [{ ...newJob({ process, message: id, nonce }, { root: id, depth: 0, now }), cron }]
}

export const isEnded = ({ state }: Pick<CrankJob, 'state'>): boolean => state === 'done' || state === 'failed'

/** A job that a person asks for again, or one part of it: what failed waits once more, what was pushed stays. */
export const reopened = (job: CrankJob, { now, only }: { now: number; only?: number | undefined }): CrankJob => ({
  ...{ ...job, state: 'queued', attempts: 0, reason: undefined, dueAt: now, at: now, depth: 0, only },
  parts: job.parts.map((part, index) =>
    part.state === 'failed' && (only ?? index) === index ? { ...part, state: 'waiting', reason: undefined } : part,
  ),
})

/** Whether there is something to push again, of all parts or of one. */
export const hasFailed = (job: CrankJob, only?: number): boolean =>
  job.state === 'failed' || job.parts.some(({ state }, index) => state === 'failed' && (only ?? index) === index)

/** What to hold every later answer about this message against. */
export const pinOf = ({ compute, stateRoot, outboxRoot, error }: Attestation): PinnedResult => ({
  ...{ compute, stateRoot, outboxRoot },
  error: error === 'none' ? undefined : error,
})

/** Part i is a message, then a spawn, then an assignment, as `From-Index` and the outbox root count them. */
export function partsOf({ messages, spawns, assignments }: Outbox, only?: number): readonly CrankPart[] {
  const open = { message: undefined, nonce: undefined, handedTo: undefined, reason: undefined } as const
  const parts = [
    ...messages.map(({ target }): CrankPart => ({ kind: 'message', target, state: 'waiting', ...open })),
    ...spawns.map((): CrankPart => ({ kind: 'spawn', target: '', state: 'waiting', ...open })),
    ...assignments.map(
      ({ processes }): CrankPart => ({ kind: 'assignment', target: processes.join(' '), state: 'waiting', ...open }),
    ),
  ]
  return parts.map((part, index) => ((only ?? index) === index ? part : { ...part, state: 'failed', reason: notAsked }))
}

const notAsked = 'left out: another part was asked for'

/** What an ended job says of its parts; undefined if all is well. */
export function summaryOf(parts: readonly CrankPart[]): string | undefined {
  const failed = parts.filter(({ state, reason }) => state === 'failed' && reason !== notAsked).length
  return failed === 0 ? undefined : `${failed} of ${parts.length} parts failed`
}

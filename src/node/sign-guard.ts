import { z } from 'zod'
import { fromBase64Url, toBase64Url } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import type { AssignmentLog } from '../ports/assignment-log.ts'
import type { SignFloor, SignGuard, SignPromise } from '../ports/sign-guard.ts'
import { verifyDataItem } from '../protocol/data-item.ts'
import { type Address, type AssignmentId, isId, type MessageId, type ProcessId, parseNonce } from '../protocol/ids.ts'
import type { Origin } from '../protocol/origin.ts'

/** What a key has signed and promised, as JSON: enough for another node to sign nothing twice. */
export type SignGuardFile = z.infer<typeof fileSchema>

const count = z.int().nonnegative()
const nonce = count.transform(value => parseNonce(value))
const process = z.custom<ProcessId>(isId, 'not an id')
const fileSchema = z.object({
  kind: z.literal('aonet-sign-guard'),
  version: z.literal(1),
  /** Of the key. */
  address: z.string().transform(text => text as Address),
  /** How far each Process is signed. */
  floors: z.array(
    z.object({ process, epoch: count, nonce, assignment: z.custom<AssignmentId>(isId, 'not an id').optional() }),
  ),
  /** Promised, and perhaps not signed yet. `item` is the message, base64url; empty where it is on Arweave already. */
  promises: z.array(
    z.object({
      plan: z.object({
        process,
        message: z.custom<MessageId>(isId, 'not an id'),
        epoch: count,
        nonce,
        timestamp: count,
        blockHeight: count,
        blockHash: z.string(),
        blockTimestamp: count,
        exclude: z.array(z.string()),
      }),
      origin: z
        .string()
        .transform(text => text as Origin)
        .optional(),
      item: z.string(),
    }),
  ),
})

export interface GuardedLog {
  readonly log: AssignmentLog
  readonly guard: SignGuard
}

/** Everything this key may have signed here. The node must not run while this is read. */
export async function exportSignGuard({ log, guard }: GuardedLog, address: Address): Promise<SignGuardFile> {
  const floors = new Map<ProcessId, SignFloor>()
  for (const floor of await guard.floors()) floors.set(floor.process, floor)
  for await (const { process, epoch, nonce, id } of log.tails()) {
    if ((floors.get(process)?.nonce ?? -1) <= nonce) floors.set(process, { process, epoch, nonce, assignment: id })
  }
  const promises = (await guard.open()).map(({ plan, origin, message }) => ({
    plan: { ...plan, exclude: [...plan.exclude] },
    origin,
    item: message === undefined ? '' : toBase64Url(message.raw),
  }))
  return { kind: 'aonet-sign-guard', version: 1, address, floors: [...floors.values()], promises }
}

/**
 * From now on this node orders a Process only once its log has all that the file says was signed.
 *
 * @throws AoError `INVALID_ARGUMENT` if it is no such file, or of another key; `EQUIVOCATION` if this node has promised
 * one of the places otherwise. Then nothing is promised, and what floors were raised stay so.
 */
export async function importSignGuard({ log, guard }: GuardedLog, address: Address, json: unknown): Promise<void> {
  const file = fileSchema.safeParse(json)
  if (!file.success) {
    const [issue] = file.error.issues
    throw new AoError('INVALID_ARGUMENT', `not an exported sign guard: ${issue?.path.join('.')} ${issue?.message}`)
  }
  const { floors, promises } = file.data
  if (file.data.address !== address) {
    throw new AoError(
      'INVALID_ARGUMENT',
      'the sign guard is of another key',
      { file: file.data.address, key: address },
      { hint: 'Import it into the node that has its key.' },
    )
  }
  await guard.raise(floors)
  const fresh: SignPromise[] = []
  for (const { plan, origin, item } of promises) {
    const message = item === '' ? undefined : await verifyDataItem(fromBase64Url(item))
    if (message !== undefined && message.id !== plan.message) {
      throw new AoError('INVALID_ARGUMENT', 'the sign guard holds another message than it names', { id: message.id })
    }
    if ((await log.at(plan.process, plan.nonce)) === undefined) fresh.push({ plan, origin, message })
  }
  if (fresh.length > 0) await guard.promise(fresh)
}

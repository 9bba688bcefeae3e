import { LRUCache } from 'lru-cache'
import { AoError } from '../lib/errors.ts'
import type { AssignmentLog } from '../ports/assignment-log.ts'
import { type Assignment, parseAssignment, type ScheduledMessage } from '../protocol/assignment.ts'
import { type DataItem, parseStoredItem } from '../protocol/data-item.ts'
import type { Id, MessageId, Nonce, ProcessId } from '../protocol/ids.ts'
import { checkAppend } from './append-check.ts'
import { decoding } from './decoding.ts'
import { KeyedLock } from './keyed-lock.ts'
import { fromU64, idPart, KeySpace, u64 } from './keys.ts'
import { joinParts, splitParts } from './parts.ts'
import { firstEntry, put, type Store, type WriteOp } from './store.ts'

/** (process, nonce) → assignment bytes, message bytes (none if the item is on Arweave already). */
const rows = new KeySpace('log')
/** (process, message) → nonce, and (process, assignment) → nonce. */
const nonces = new KeySpace('log-nonce')
/** position → process, nonce. */
const positions = new KeySpace('log-position')

/** Processes whose tail is kept at hand; one is about 2 KB. */
const cachedTails = 4096

/**
 * The AssignmentLog on disk.
 *
 * Invariant: a (Process, Nonce) is written once and never again, without gaps, and in the same batch as its position.
 */
export class LevelAssignmentLog implements AssignmentLog {
  readonly #store: Store
  readonly #lock = new KeyedLock()
  /** Filled under the lock only: a reader that was overtaken by a writer must not put an old tail back. */
  readonly #tails = new LRUCache<ProcessId, Assignment>({ max: cachedTails })
  #size: number | undefined

  constructor(store: Store) {
    this.#store = store
  }

  async tail(process: ProcessId): Promise<Assignment | undefined> {
    const cached = this.#tails.get(process)
    if (cached !== undefined) return cached
    const last = await firstEntry(this.#store, { ...rows.range(idPart(process)), reverse: true })
    return last === undefined ? undefined : decode(last[1]).assignment
  }

  async at(process: ProcessId, nonce: Nonce): Promise<Assignment | undefined> {
    const row = await this.#store.get(rowKey(process, nonce))
    return row === undefined ? undefined : decode(row).assignment
  }

  async find(process: ProcessId, message: MessageId): Promise<Assignment | undefined> {
    const nonce = await this.#store.get(nonceKey(process, message))
    return nonce === undefined ? undefined : this.at(process, fromU64(nonce) as Nonce)
  }

  async process(process: ProcessId): Promise<DataItem | undefined> {
    const row = await this.#store.get(rowKey(process, 0))
    return row === undefined ? undefined : decode(row).message
  }

  append(batch: readonly ScheduledMessage[]): Promise<void> {
    return this.#lock.run(['append'], () => this.#append(batch))
  }

  async *read(
    process: ProcessId,
    { from, to }: { from: Nonce; to?: Nonce | undefined },
  ): AsyncIterable<ScheduledMessage> {
    const all = rows.range(idPart(process))
    const lt = to === undefined || to >= Number.MAX_SAFE_INTEGER ? all.lt : rowKey(process, to + 1)
    let expected: number = from
    for await (const [, value] of this.#store.entries({ gte: rowKey(process, from), lt })) {
      const scheduled = decode(value)
      if (scheduled.assignment.nonce !== expected++) throw damaged({ process, nonce: expected - 1 })
      yield scheduled
    }
  }

  async readAll(after: number, limit: number): Promise<readonly { position: number; scheduled: ScheduledMessage }[]> {
    const range = { gte: positions.key(u64(after + 1)), lt: positions.range().lt, limit: Math.max(0, limit) }
    const found: { position: number; key: Uint8Array }[] = []
    for await (const [key, value] of this.#store.entries(range)) {
      found.push({ position: fromU64(positions.part(key, 0, 8)), key: rows.key(value) })
    }
    const values = await this.#store.getMany(found.map(({ key }) => key))
    return found.map(({ position }, i) => {
      const value = values[i]
      if (value === undefined) throw damaged({ position })
      return { position, scheduled: decode(value) }
    })
  }

  async size(): Promise<number> {
    if (this.#size !== undefined) return this.#size
    const last = await firstEntry(this.#store, { ...positions.range(), reverse: true })
    return last === undefined ? 0 : fromU64(positions.part(last[0], 0, 8))
  }

  async #append(batch: readonly ScheduledMessage[]): Promise<void> {
    const size = await this.size()
    checkAppend(batch, await this.#factsFor(batch))
    await this.#store.write(batch.flatMap((scheduled, i) => opsFor(scheduled, size + i + 1)))
    this.#size = size + batch.length
    for (const { assignment } of batch) this.#tails.set(assignment.process, assignment)
  }

  async #factsFor(batch: readonly ScheduledMessage[]): Promise<Parameters<typeof checkAppend>[1]> {
    const processes = [...new Set(batch.map(({ assignment }) => assignment.process))]
    const tails = new Map(await Promise.all(processes.map(async id => [id, (await this.tail(id))?.nonce] as const)))
    const keys = batch.map(({ assignment: { process, message } }) => nonceKey(process, message))
    const given = await this.#store.getMany(keys)
    const taken = new Map(
      batch.flatMap(({ assignment: { process, message } }, i) => {
        const nonce = given[i]
        return nonce === undefined ? [] : [[`${process} ${message}`, fromU64(nonce) as Nonce] as const]
      }),
    )
    return { tail: id => tails.get(id), nonceOf: (process, message) => taken.get(`${process} ${message}`) }
  }
}

const rowKey = (process: ProcessId, nonce: number): Uint8Array => rows.key(idPart(process), u64(nonce))
const nonceKey = (process: ProcessId, message: MessageId): Uint8Array => nonces.key(idPart(process), idPart(message))

function opsFor({ assignment, message }: ScheduledMessage, position: number): readonly WriteOp[] {
  const { process, nonce } = assignment
  return [
    put(rowKey(process, nonce), joinParts(assignment.raw, message?.raw ?? new Uint8Array(0))),
    put(nonceKey(process, assignment.message), u64(nonce)),
    put(nonceKey(process, assignment.id as Id as MessageId), u64(nonce)),
    put(positions.key(u64(position)), Buffer.concat([idPart(process), u64(nonce)])),
  ]
}

const decode = (value: Uint8Array): ScheduledMessage =>
  decoding('log', () => {
    const [assignment, message] = splitParts(value, 2)
    return {
      assignment: parseAssignment(parseStoredItem(assignment)),
      message: message.length === 0 ? undefined : parseStoredItem(message),
    }
  })

const damaged = (facts: Record<string, string | number>): AoError =>
  new AoError('STORE_CORRUPT', 'the log has a gap', facts, {
    hint: 'Restore the data directory from a copy: this node must not schedule on a damaged log.',
  })

import { LRUCache } from 'lru-cache'
import { copyOf, sha256, utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import { failpoint } from '../lib/failpoint.ts'
import type { AppendOptions, AssignmentLog, LogEntry, Sought } from '../ports/assignment-log.ts'
import { type Assignment, parseAssignment, type ScheduledMessage } from '../protocol/assignment.ts'
import { type DataItem, parseStoredItem } from '../protocol/data-item.ts'
import type { MessageId, Nonce, ProcessId } from '../protocol/ids.ts'
import type { Origin } from '../protocol/origin.ts'
import { checkAppend } from './append-check.ts'
import { decoding } from './decoding.ts'
import { KeyedLock } from './keyed-lock.ts'
import { fromIdPart, fromU64, idPart, KeySpace, u64 } from './keys.ts'
import { NameFilter } from './name-filter.ts'
import { joinParts, splitParts } from './parts.ts'
import { firstEntry, put, type Store, type WriteOp } from './store.ts'

/** (process, nonce) → assignment bytes, message bytes (none if the item is on Arweave already). */
const rows = new KeySpace('log')
/** (process, message) → nonce, (process, assignment) → nonce, and (process, hash of an origin) → nonce. */
const nonces = new KeySpace('log-nonce')
/** position → process, nonce. */
const positions = new KeySpace('log-position')

/** Processes whose tail is kept at hand; one is about 2 KB. Beyond them each message costs one more look at the disk. */
const cachedTails = 16_384

/** Rows appended lately: CUs read them at once, and those in this program check no signature twice. */
const cachedBytes = 16 << 20
/** A longer range is read from the disk. */
const cachedRange = 256

/**
 * The AssignmentLog on disk.
 *
 * Invariant: a (Process, Nonce) is written once and never again, without gaps, and in the same batch as its position.
 */
export class LevelAssignmentLog implements AssignmentLog {
  readonly #store: Store
  readonly #lock = new KeyedLock()
  /** A reader that was overtaken by a writer must not put an old tail back: it compares `#appends`. */
  readonly #tails = new LRUCache<ProcessId, Assignment>({ max: cachedTails })
  /** By (process, nonce). Rows are never replaced, so none is ever out of date. */
  readonly #recent = new LRUCache<string, ScheduledMessage>({ maxSize: cachedBytes })
  readonly #names: NameFilter
  #appends = 0
  #size: number | undefined

  constructor(store: Store) {
    this.#store = store
    this.#names = new NameFilter(store, nonces.range())
  }

  async tail(process: ProcessId): Promise<Assignment | undefined> {
    const cached = this.#tails.get(process)
    if (cached !== undefined) return cached
    const appends = this.#appends
    const last = await firstEntry(this.#store, { ...rows.range(idPart(process)), reverse: true })
    const tail = last === undefined ? undefined : owned(decode(last[1]).assignment)
    if (tail !== undefined && appends === this.#appends) this.#tails.set(process, tail)
    return tail
  }

  async at(process: ProcessId, nonce: Nonce): Promise<Assignment | undefined> {
    const recent = this.#recent.get(nameOf(process, nonce))
    if (recent !== undefined) return recent.assignment
    const row = await this.#store.get(rowKey(process, nonce))
    return row === undefined ? undefined : decode(row).assignment
  }

  async find(process: ProcessId, message: MessageId): Promise<Assignment | undefined> {
    const nonce = await this.#store.get(nonceKey(process, message))
    return nonce === undefined ? undefined : this.at(process, fromU64(nonce) as Nonce)
  }

  async findMany(sought: readonly Sought[]): Promise<readonly (Assignment | undefined)[]> {
    const keys = sought.map(({ process, message }) => nonceKey(process, message))
    const byOrigin = sought.flatMap((one, i) => (one.origin === undefined ? [] : [{ ...one, i, origin: one.origin }]))
    const originKeys = byOrigin.map(({ process, origin }) => originKey(process, origin))
    const found = await this.#names.getMany([...keys, ...originKeys], () => this.size())
    const nonces = found.slice(0, keys.length)
    for (const [n, { i }] of byOrigin.entries()) nonces[i] ??= found[keys.length + n]
    return Promise.all(
      sought.map(async ({ process }, i) => {
        const nonce = nonces[i]
        return nonce === undefined ? undefined : this.at(process, fromU64(nonce) as Nonce)
      }),
    )
  }

  async process(process: ProcessId): Promise<DataItem | undefined> {
    const row = await this.#store.get(rowKey(process, 0))
    return row === undefined ? undefined : decode(row).message
  }

  append(batch: readonly LogEntry[], options: AppendOptions = {}): Promise<void> {
    return this.#lock.run(['append'], () => this.#append(batch, options))
  }

  async *read(
    process: ProcessId,
    { from, to }: { from: Nonce; to?: Nonce | undefined },
  ): AsyncIterable<ScheduledMessage> {
    const recent = this.#recentRows(process, from, to)
    if (recent !== undefined) return yield* recent
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

  async *tails(): AsyncIterable<Assignment> {
    let { gte } = rows.range()
    const { lt } = rows.range()
    for (;;) {
      const first = await firstEntry(this.#store, { gte, lt })
      if (first === undefined) return
      const process = fromIdPart<ProcessId>(rows.part(first[0], 0, 32))
      const tail = await this.tail(process)
      if (tail !== undefined) yield tail
      gte = rows.range(idPart(process)).lt
    }
  }

  async size(): Promise<number> {
    if (this.#size !== undefined) return this.#size
    const last = await firstEntry(this.#store, { ...positions.range(), reverse: true })
    return last === undefined ? 0 : fromU64(positions.part(last[0], 0, 8))
  }

  async #append(batch: readonly LogEntry[], { guarded = false, lookedUp = false }: AppendOptions): Promise<void> {
    const size = this.#size ?? (await this.size())
    checkAppend(batch, await this.#factsFor(batch, lookedUp))
    failpoint('log-checked')
    const ops: WriteOp[] = []
    let position = size
    for (const entry of batch) {
      const names = namesOf(entry)
      for (const name of names) this.#names.add(name) // a write that is refused may stay all the same
      addOps(ops, entry, { names, position: entry.settled === true ? undefined : ++position })
    }
    await this.#store.write(ops, { sync: !guarded })
    failpoint('log-written')
    this.#size = position
    this.#appends++
    for (const { assignment, message } of batch) {
      this.#tails.set(assignment.process, assignment)
      const size = assignment.raw.length + (message?.raw.length ?? 0)
      this.#recent.set(nameOf(assignment.process, assignment.nonce), { assignment, message }, { size })
    }
  }

  /** Undefined unless all of them are at hand. */
  #recentRows(process: ProcessId, from: number, to: number | undefined): readonly ScheduledMessage[] | undefined {
    if (to === undefined || to < from || to - from >= cachedRange) return undefined
    const found: ScheduledMessage[] = []
    for (let nonce = from; nonce <= to; nonce++) {
      const row = this.#recent.get(nameOf(process, nonce))
      if (row === undefined) return undefined
      found.push(row)
    }
    return found
  }

  async #factsFor(batch: readonly LogEntry[], lookedUp: boolean): Promise<Parameters<typeof checkAppend>[1]> {
    const tails = new Map<ProcessId, Nonce | undefined>()
    for (const { assignment } of batch) {
      const { process } = assignment
      if (!tails.has(process)) tails.set(process, (this.#tails.get(process) ?? (await this.tail(process)))?.nonce)
    }
    const tail = (id: ProcessId): Nonce | undefined => tails.get(id)
    if (lookedUp) return { tail, nonceOf: () => undefined }
    const names = batch.flatMap(({ assignment: { process, message }, origin }) => [
      { text: `${process} ${message}`, key: nonceKey(process, message) },
      ...(origin === undefined ? [] : [{ text: `${process} ${origin}`, key: originKey(process, origin) }]),
    ])
    const found = await this.#store.getMany(names.map(({ key }) => key))
    const taken = new Map<string, Nonce>()
    for (const [i, { text }] of names.entries()) {
      const nonce = found[i]
      if (nonce !== undefined) taken.set(text, fromU64(nonce) as Nonce)
    }
    return { tail, nonceOf: (process, name) => taken.get(`${process} ${name}`) }
  }
}

const nameOf = (process: ProcessId, nonce: number): string => `${process} ${nonce}`
const rowKey = (process: ProcessId, nonce: number): Uint8Array => rows.key(idPart(process), u64(nonce))
const nonceKey = (process: ProcessId, message: MessageId): Uint8Array => nonces.key(idPart(process), idPart(message))

/** An origin is text of any length, so its hash stands for it. No id is such a hash but by design. */
const originKey = (process: ProcessId, origin: Origin): Uint8Array => nonces.key(idPart(process), sha256(utf8(origin)))

/** Keys that a row is found by besides its own. */
function namesOf({ assignment: { process, message, id }, origin }: LogEntry): readonly Uint8Array[] {
  const of = idPart(process)
  const names = [nonces.key(of, idPart(message)), nonces.key(of, idPart(id))]
  if (origin !== undefined) names.push(originKey(process, origin))
  return names
}

function addOps(
  ops: WriteOp[],
  { assignment, message }: LogEntry,
  { names, position }: { readonly names: readonly Uint8Array[]; readonly position: number | undefined },
): void {
  const [of, at] = [idPart(assignment.process), u64(assignment.nonce)]
  ops.push(put(rows.key(of, at), joinParts(assignment.raw, message?.raw ?? none)))
  for (const name of names) ops.push(put(name, at))
  if (position !== undefined) ops.push(put(positions.key(u64(position)), Buffer.concat([of, at])))
}

const none = new Uint8Array(0)

/** Without the message that its bytes came with. */
const owned = (assignment: Assignment): Assignment => ({ ...assignment, raw: copyOf(assignment.raw) })

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

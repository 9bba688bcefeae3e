import { LRUCache } from 'lru-cache'
import { failpoint } from '../lib/failpoint.ts'
import type {
  KeptItemsTotals,
  KeptPlace,
  NamedRow,
  PlacedMessage,
  PutOptions,
  ResultAt,
  ResultRange,
  ResultStore,
  RowNames,
  StoredResult,
  WritingResult,
} from '../ports/result-store.ts'
import type { ScheduledMessage } from '../protocol/assignment.ts'
import { type CronPlace, cronIndex, cronKind, cronText } from '../protocol/cron.ts'
import type { MessageId, Nonce, ProcessId } from '../protocol/ids.ts'
import { claimedOrigin, type Origin } from '../protocol/origin.ts'
import { KeptItems } from './kept-items.ts'
import { KeyedLock } from './keyed-lock.ts'
import { fromU64, idPart, KeySpace, u64 } from './keys.ts'
import { ResultNames } from './result-names.ts'
import { assertSameRow, decodeRow, encodeRow } from './result-row.ts'
import { del, firstEntry, present, put, type Store, type WriteOp } from './store.ts'

/** (process, nonce) → assignment bytes, attestation bytes, canonical Result. */
const rows = new KeySpace('result')
/** (process, nonce) of each Result without error: a page of those must not wade through the others. */
const good = new KeySpace('result-good')

interface RowWrite {
  readonly kept: StoredResult
  readonly bytes: number
  readonly ops: readonly WriteOp[]
}

/** Rows fetched at once while a range is read. */
const chunk = 32

/** What was put or read lately is asked for again at once: by whoever waits for it, and by the MU that pushes it. */
const cachedBytes = 16 << 20
/** Processes whose newest nonce is kept at hand: beyond it nothing is stored, so nobody need look. */
const cachedNewest = 16_384

/** The ResultStore on disk. */
export class LevelResultStore implements ResultStore {
  readonly #store: Store
  readonly #names: ResultNames
  readonly #items: KeptItems
  readonly #lock = new KeyedLock()
  /** By (process, nonce). Rows are never replaced, so none is ever out of date. */
  readonly #recent = new LRUCache<string, StoredResult>({ maxSize: cachedBytes })
  readonly #writing = new Map<string, WritingResult>()
  /** -1 for none. Set under the lock of a `put` or from the disk before any. */
  readonly #newest = new LRUCache<ProcessId, number>({ max: cachedNewest })

  constructor(store: Store) {
    this.#store = store
    this.#names = new ResultNames(store)
    this.#items = new KeptItems(store)
  }

  async get(process: ProcessId, nonce: Nonce, cron?: CronPlace): Promise<StoredResult | undefined> {
    const recent = this.#recent.get(nameOf(process, nonce, cron))
    if (recent !== undefined) return recent
    if (nonce > (this.#newest.get(process) ?? Number.POSITIVE_INFINITY)) return undefined
    const row = await this.#store.get(rowKey(process, nonce, cron))
    return row === undefined ? undefined : this.#remember(decodeRow(row), row.length)
  }

  writing(process: ProcessId, nonce: Nonce): WritingResult | undefined {
    return this.#writing.get(nameOf(process, nonce))
  }

  nonceOf(process: ProcessId, message: MessageId, origin?: Origin): Promise<Nonce | undefined> {
    return this.#names.nonceOf(process, message, origin)
  }

  learn(process: ProcessId, messages: readonly PlacedMessage[]): Promise<void> {
    return this.#lock.run([process], () => this.#names.learn(process, messages))
  }

  learned(process: ProcessId): Promise<Nonce | undefined> {
    return this.#names.learned(process)
  }

  async *succeeded(
    process: ProcessId,
    { after, to, descending, cronsOnly = false }: ResultRange,
  ): AsyncIterable<StoredResult> {
    const all = good.range(idPart(process))
    const gte = after === undefined ? all.gte : justAfter(goodKey(process, after))
    const lt = to === undefined ? all.lt : justAfter(goodKey(process, to))
    if (Buffer.compare(gte, lt) >= 0) return
    let keys: Uint8Array[] = []
    for await (const [key] of this.#store.entries({ gte, lt, reverse: descending })) {
      const place = good.part(key, 0, key.length)
      if (cronsOnly && place.length <= messagePlaceBytes) continue
      keys.push(rows.key(place))
      if (keys.length < chunk) continue
      yield* await this.#rows(keys)
      keys = []
    }
    yield* await this.#rows(keys)
  }

  async newest(process: ProcessId): Promise<StoredResult | undefined> {
    const last = await firstEntry(this.#store, { ...rows.range(idPart(process)), reverse: true })
    return last === undefined ? undefined : decodeRow(last[1])
  }

  put(row: StoredResult, names?: RowNames): Promise<void> {
    return this.putAll([{ row, names }])
  }

  putAll(rows: readonly NamedRow[], { onWriting }: PutOptions = {}): Promise<void> {
    const process = rows[0]?.row.result.process
    if (process === undefined) return Promise.resolve()
    // Two at once about one nonce must not both find nothing stored.
    return this.#lock.run([process], async () => {
      const newest = await this.#newestOf(process)
      const writes: RowWrite[] = []
      const given = new Set<string>()
      for (const named of rows) {
        const write = await this.#writeOf(named, { newest, given })
        if (write !== undefined) writes.push(write)
      }
      if (writes.length === 0) return
      failpoint('result-looked-up')
      await this.#write(writes, onWriting)
      failpoint('result-written')
      this.#newest.set(process, Math.max(newest, ...writes.map(({ kept }) => kept.result.nonce)))
      for (const { kept, bytes } of writes) this.#remember(kept, bytes)
    })
  }

  async #write(writes: readonly RowWrite[], onWriting: (() => void) | undefined): Promise<void> {
    const stored = this.#store.write(writes.flatMap(({ ops }) => ops))
    let isRefused = false
    stored.catch(() => (isRefused = true))
    await undefined // a store that takes no more has said so by now
    const rows = isRefused ? [] : writes.map(({ kept }) => kept)
    const names = rows.map(({ result: { process, nonce, cron } }) => nameOf(process, nonce, cron))
    for (const [i, row] of rows.entries()) this.#writing.set(names[i] as string, { row, stored })
    if (!isRefused) onWriting?.()
    try {
      await stored
    } finally {
      for (const name of names) this.#writing.delete(name)
    }
  }

  /** What stores the row, and which names it gives with others of its batch; undefined if it is stored. @throws AoError `EQUIVOCATION` if another is. */
  async #writeOf(
    { row, names: known }: NamedRow,
    { newest, given }: { readonly newest: number; readonly given: Set<string> },
  ): Promise<RowWrite | undefined> {
    const { message, ...kept } = row
    const { process, nonce, cron, error } = row.result
    const key = rowKey(process, nonce, cron)
    const stored = nonce > newest ? undefined : await this.#store.get(key)
    if (stored !== undefined) {
      assertSameRow(stored, row)
      return undefined
    }
    const value = encodeRow(row)
    const placed = { ...known, message: row.assignment.message, nonce }
    const ops = [
      put(key, value),
      ...(cron === undefined ? await this.#names.write(process, placed, given) : []),
      ...(cron === undefined && message !== undefined ? await this.#items.write({ process, nonce }, message) : []),
      ...(error === undefined ? [put(goodKey(process, { nonce, cron }), present)] : []),
    ]
    return { kept, bytes: value.length, ops }
  }

  async *scheduled(
    process: ProcessId,
    { from, to }: { from: Nonce; to?: Nonce | undefined },
  ): AsyncIterable<ScheduledMessage> {
    const { lt: end } = rows.range(idPart(process))
    const lt = to === undefined ? end : justAfter(rowKey(process, to))
    for await (const [key, value] of this.#store.entries({ gte: rowKey(process, from), lt })) {
      if (rows.part(key, 0, key.length).length > messagePlaceBytes) continue
      const { assignment } = decodeRow(value)
      yield { assignment, message: await this.#items.get(process, assignment.nonce) }
    }
  }

  keptItems(from: KeptPlace | undefined, limit: number): Promise<readonly KeptPlace[]> {
    return this.#items.list(from, limit)
  }

  dropItems(process: ProcessId, nonces: readonly Nonce[]): Promise<void> {
    return this.#lock.run([process], async () => {
      const ops = await Promise.all([...new Set(nonces)].map(nonce => this.#items.remove({ process, nonce })))
      await this.#store.write(ops.flat())
    })
  }

  keptItemsTotals(): Promise<KeptItemsTotals> {
    return this.#items.totals()
  }

  forgetAfter(process: ProcessId, nonce: Nonce): Promise<void> {
    return this.#lock.run([process], async () => {
      const after = rowKey(process, (nonce + 1) as Nonce)
      const ops: WriteOp[] = []
      for await (const [key, value] of this.#store.entries({ gte: after, lt: rows.range(idPart(process)).lt })) {
        const { assignment, result } = decodeRow(value)
        this.#recent.delete(nameOf(process, result.nonce, result.cron))
        ops.push(del(key), del(goodKey(process, result)))
        if (result.cron !== undefined) continue
        const item = await this.#items.get(process, result.nonce)
        const origin = item && claimedOrigin(item)
        ops.push(...(await this.#names.forget(process, { message: assignment.message, origin }, nonce)))
        ops.push(...(await this.#items.remove({ process, nonce: result.nonce })))
      }
      await this.#store.write(ops)
      await this.#names.unlearn(process, nonce)
      this.#newest.delete(process)
    })
  }

  async #newestOf(process: ProcessId): Promise<number> {
    const known = this.#newest.get(process)
    if (known !== undefined) return known
    const [last] = (await firstEntry(this.#store, { ...rows.range(idPart(process)), reverse: true })) ?? []
    const newest = last === undefined ? -1 : fromU64(rows.part(last, 32, 8))
    this.#newest.set(process, newest)
    return newest
  }

  #remember(row: StoredResult, size: number): StoredResult {
    const { process, nonce, cron } = row.result
    this.#recent.set(nameOf(process, nonce, cron), row, { size })
    return row
  }

  async #rows(keys: readonly Uint8Array[]): Promise<readonly StoredResult[]> {
    const values = await this.#store.getMany(keys)
    return values.flatMap(value => (value === undefined ? [] : [decodeRow(value)]))
  }
}

const nameOf = (process: ProcessId, nonce: Nonce, cron?: CronPlace): string =>
  cron === undefined ? `${process} ${nonce}` : `${process} ${nonce} ${cronText(cron)}`
const rowKey = (process: ProcessId, nonce: Nonce, cron?: CronPlace): Uint8Array =>
  rows.key(idPart(process), u64(nonce), ...cronPart(cron))
function goodKey(process: ProcessId, at: Nonce | ResultAt): Uint8Array {
  const { nonce, cron } = typeof at === 'number' ? { nonce: at, cron: undefined } : at
  return good.key(idPart(process), u64(nonce), ...cronPart(cron))
}
/** Sorts as `compareCrons`, after the message before. */
const cronPart = (cron: CronPlace | undefined): readonly Uint8Array[] =>
  cron === undefined
    ? []
    : [u64(cron.timestamp), Uint8Array.of(cronKind(cron)), u64(cron.blockHeight), Uint8Array.of(cronIndex(cron) & 255)]
/** Process and nonce. */
const messagePlaceBytes = 40
const justAfter = (key: Uint8Array): Uint8Array => Buffer.concat([key, Uint8Array.of(0)])

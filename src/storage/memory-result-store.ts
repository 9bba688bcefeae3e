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
import { type CronPlace, comparePlaces, cronText } from '../protocol/cron.ts'
import type { MessageId, Nonce, ProcessId } from '../protocol/ids.ts'
import type { Origin } from '../protocol/origin.ts'
import { assertSameRow, encodeRow } from './result-row.ts'

/** A ResultStore that forgets everything at the end of the program. */
export class MemoryResultStore implements ResultStore {
  readonly #rows = new Map<string, StoredResult>()
  readonly #nonces = new Map<string, Nonce>()
  readonly #learned = new Map<ProcessId, Nonce>()

  async get(process: ProcessId, nonce: Nonce, cron?: CronPlace): Promise<StoredResult | undefined> {
    return this.#rows.get(rowName(process, { nonce, cron }))
  }

  writing(): WritingResult | undefined {
    return undefined
  }

  async nonceOf(process: ProcessId, message: MessageId, origin?: Origin): Promise<Nonce | undefined> {
    const places = namesOf(process, message, origin).map(name => this.#nonces.get(name))
    const known = places.filter(place => place !== undefined)
    return known.length === 0 ? undefined : (Math.min(...known) as Nonce)
  }

  async learn(process: ProcessId, messages: readonly PlacedMessage[]): Promise<void> {
    for (const { message, origin, nonce } of messages) {
      for (const name of namesOf(process, message, origin)) {
        if (nonce < (this.#nonces.get(name) ?? Number.POSITIVE_INFINITY)) this.#nonces.set(name, nonce)
      }
      this.#learned.set(process, nonce)
    }
  }

  async learned(process: ProcessId): Promise<Nonce | undefined> {
    return this.#learned.get(process)
  }

  async *succeeded(process: ProcessId, range: ResultRange): AsyncIterable<StoredResult> {
    const { after, to, descending, cronsOnly = false } = range
    const found = this.#of(process).filter(
      ({ result }) =>
        result.error === undefined &&
        (!cronsOnly || result.cron !== undefined) &&
        (after === undefined || comparePlaces(result, placeOf(after)) > 0) &&
        (to === undefined || comparePlaces(result, placeOf(to)) <= 0),
    )
    yield* descending ? found.reverse() : found
  }

  async newest(process: ProcessId): Promise<StoredResult | undefined> {
    return this.#of(process).at(-1)
  }

  put(row: StoredResult, names?: RowNames): Promise<void> {
    return this.putAll([{ row, names }])
  }

  async putAll(rows: readonly NamedRow[], { onWriting }: PutOptions = {}): Promise<void> {
    for (const { row } of rows) {
      const stored = this.#rows.get(rowName(row.result.process, row.result))
      if (stored !== undefined) assertSameRow(encodeRow(stored), row)
    }
    const isNew = rows.some(({ row: { result } }) => !this.#rows.has(rowName(result.process, result)))
    for (const { row, names } of rows) this.#put(row, names?.origin)
    if (isNew) onWriting?.()
  }

  #put(row: StoredResult, origin: Origin | undefined): void {
    const { process, nonce, cron } = row.result
    const name = rowName(process, row.result)
    if (this.#rows.has(name)) return
    this.#rows.set(name, row)
    if (cron !== undefined) return
    for (const key of namesOf(process, row.assignment.message, origin)) {
      if (!this.#nonces.has(key)) this.#nonces.set(key, nonce)
    }
  }

  async *scheduled(
    process: ProcessId,
    { from, to = Number.POSITIVE_INFINITY as Nonce }: { from: Nonce; to?: Nonce | undefined },
  ): AsyncIterable<ScheduledMessage> {
    for (const { result, assignment, message } of this.#of(process)) {
      if (result.cron === undefined && result.nonce >= from && result.nonce <= to) yield { assignment, message }
    }
  }

  async keptItems(from: KeptPlace | undefined, limit: number): Promise<readonly KeptPlace[]> {
    const before = ({ process, nonce }: KeptPlace, other: KeptPlace): number =>
      process === other.process ? nonce - other.nonce : process < other.process ? -1 : 1
    const kept = [...this.#rows.values()].filter(({ message, result }) => message && result.cron === undefined)
    const places = kept.map(({ result: { process, nonce } }) => ({ process, nonce })).sort(before)
    return places.filter(place => from === undefined || before(place, from) >= 0).slice(0, limit)
  }

  async dropItems(process: ProcessId, nonces: readonly Nonce[]): Promise<void> {
    for (const nonce of nonces) {
      const name = rowName(process, { nonce })
      const row = this.#rows.get(name)
      if (row !== undefined) this.#rows.set(name, { ...row, message: undefined })
    }
  }

  async keptItemsTotals(): Promise<KeptItemsTotals> {
    const sizes = [...this.#rows.values()].flatMap(({ message }) => (message === undefined ? [] : [message.raw.length]))
    return { items: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) }
  }

  async forgetAfter(process: ProcessId, nonce: Nonce): Promise<void> {
    for (const { result } of this.#of(process)) {
      if (result.nonce <= nonce) continue
      this.#rows.delete(rowName(process, result))
    }
    for (const [name, at] of this.#nonces) if (name.startsWith(`${process} `) && at > nonce) this.#nonces.delete(name)
    if ((this.#learned.get(process) ?? -1) > nonce) this.#learned.set(process, nonce)
  }

  #of(process: ProcessId): StoredResult[] {
    const own = [...this.#rows.values()].filter(({ result }) => result.process === process)
    return own.sort((a, b) => comparePlaces(a.result, b.result))
  }
}

const placeOf = (at: Nonce | ResultAt): ResultAt => (typeof at === 'number' ? { nonce: at } : at)
const rowName = (process: ProcessId, { nonce, cron }: ResultAt): string =>
  `${process} ${nonce} ${cron === undefined ? '' : cronText(cron)}`
const namesOf = (process: ProcessId, message: MessageId, origin: Origin | undefined): readonly string[] =>
  [message, ...(origin === undefined ? [] : [origin])].map(name => `${process} ${name}`)

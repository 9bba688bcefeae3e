import type { ResultStore, StoredResult } from '../ports/result-store.ts'
import type { MessageId, Nonce, ProcessId } from '../protocol/ids.ts'
import { assertSameRow, encodeRow } from './result-row.ts'

/** A ResultStore that forgets everything at the end of the program. */
export class MemoryResultStore implements ResultStore {
  readonly #rows = new Map<string, StoredResult>()
  readonly #nonces = new Map<string, Nonce>()
  readonly #newest = new Map<ProcessId, Nonce>()

  async get(process: ProcessId, nonce: Nonce): Promise<StoredResult | undefined> {
    return this.#rows.get(keyOf(process, nonce))
  }

  async nonceOf(process: ProcessId, message: MessageId): Promise<Nonce | undefined> {
    return this.#nonces.get(keyOf(process, message))
  }

  async *succeeded(
    process: ProcessId,
    { after = -1 as Nonce, to, descending }: { after?: Nonce | undefined; to?: Nonce | undefined; descending: boolean },
  ): AsyncIterable<StoredResult> {
    const found = [...this.#rows.values()].filter(
      ({ result }) =>
        result.process === process &&
        result.error === undefined &&
        result.nonce > after &&
        result.nonce <= (to ?? Number.POSITIVE_INFINITY),
    )
    yield* found.sort((a, b) => (a.result.nonce - b.result.nonce) * (descending ? -1 : 1))
  }

  async newest(process: ProcessId): Promise<StoredResult | undefined> {
    const nonce = this.#newest.get(process)
    return nonce === undefined ? undefined : this.get(process, nonce)
  }

  async put(row: StoredResult): Promise<void> {
    const { process, nonce } = row.result
    const stored = this.#rows.get(keyOf(process, nonce))
    if (stored !== undefined) return assertSameRow(encodeRow(stored), row)
    this.#rows.set(keyOf(process, nonce), row)
    this.#nonces.set(keyOf(process, row.assignment.message), nonce)
    this.#newest.set(process, Math.max(nonce, this.#newest.get(process) ?? 0) as Nonce)
  }
}

const keyOf = (process: ProcessId, part: string | number): string => `${process} ${part}`

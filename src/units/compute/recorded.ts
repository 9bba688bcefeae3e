import type { AbortOptions } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import type { ResultStore, StoredResult } from '../../ports/result-store.ts'
import type { AttestedResult, CronAt, ResultOptions, ResultsQuery } from '../../ports/units.ts'
import type { Id, MessageId, Nonce, ProcessId } from '../../protocol/ids.ts'
import type { Routes } from '../routing/route.ts'

export interface RecordedDeps {
  readonly results: ResultStore
  readonly routes: Pick<Routes, 'scheduler'>
}

/** What this CU has said: Results by message, nonce or cron message, and how far back they go. */
export class Recorded {
  readonly #deps: RecordedDeps

  constructor(deps: RecordedDeps) {
    this.#deps = deps
  }

  /** Undefined for what is not evaluated yet. */
  async find(process: ProcessId, nonce: Nonce, options: ResultOptions = {}): Promise<AttestedResult | undefined> {
    const found = await this.#find(process, nonce, options)
    return found && { result: found.row.result, attestation: found.row.attestation, stored: found.stored }
  }

  /** Of a nonce that has been evaluated. @throws AoError if it is not what was asked for, or gone. */
  async result(
    process: ProcessId,
    { nonce, at, ...options }: ResultOptions & { readonly nonce: Nonce; readonly at: MessageId | Nonce },
  ): Promise<AttestedResult> {
    const { row, stored } = (await this.#find(process, nonce, options)) ?? {}
    if (row === undefined) {
      await this.assertHistory(process)
      throw new AoError('STORE_CORRUPT', 'a result that was stored is gone', { process, nonce })
    }
    const { id, message } = row.assignment
    if (typeof at !== 'number' && message !== at && (id as Id) !== (at as Id)) {
      throw new AoError('INVALID_ASSIGNMENT', 'the scheduler named a nonce where another message stands', {
        process,
        message: at,
        nonce,
      })
    }
    return { result: row.result, attestation: row.attestation, stored }
  }

  /** `stored` if it is on its way to the disk. */
  async #find(
    process: ProcessId,
    nonce: Nonce,
    { unstored = false }: ResultOptions,
  ): Promise<{ readonly row: StoredResult; readonly stored?: Promise<void> } | undefined> {
    const { results } = this.#deps
    const writing = unstored ? results.writing(process, nonce) : undefined
    if (writing !== undefined) return writing
    const row = await results.get(process, nonce)
    return row && { row }
  }

  /** @param reachNow resolves when the cron messages up to now are evaluated. */
  async cron(process: ProcessId, { nonce, cron }: CronAt, reachNow: () => Promise<void>): Promise<AttestedResult> {
    const { results } = this.#deps
    const stored = await results.get(process, nonce, cron)
    if (stored === undefined) await reachNow()
    const row = stored ?? (await results.get(process, nonce, cron))
    if (row !== undefined) return { result: row.result, attestation: row.attestation }
    throw new AoError('UNKNOWN_MESSAGE', 'the Process has no such cron message, or not yet', {
      process,
      nonce,
      timestamp: cron.timestamp,
      cron: cron.id,
    })
  }

  /** Where a message stands: as it was evaluated here, else as its scheduler says. */
  async nonceOf(process: ProcessId, message: MessageId, options: AbortOptions): Promise<Nonce> {
    const known = await this.#deps.results.nonceOf(process, message)
    if (known !== undefined) return known
    const scheduler = await this.#deps.routes.scheduler(process, options)
    return (await scheduler.assignment(process, message, options)).nonce
  }

  /** A page may only begin where Results without a gap are stored from there on. */
  async assertReaches(process: ProcessId, { after }: Pick<ResultsQuery, 'after'>): Promise<void> {
    if (after !== undefined && 'nonce' in after && (await this.#deps.results.get(process, after.nonce))) return
    await this.assertHistory(process)
  }

  /** @throws AoError `NOT_READY` if this CU began at a published checkpoint and has nothing of what was before. */
  async assertHistory(process: ProcessId): Promise<void> {
    if ((await this.#deps.results.get(process, 0 as Nonce)) !== undefined) return
    throw new AoError(
      'NOT_READY',
      'this Compute Unit took the Process up at a published checkpoint and has no older results',
      { process },
      { hint: 'Ask another Compute Unit for them.' },
    )
  }
}

import { LRUCache } from 'lru-cache'
import type { AbortOptions } from '../../lib/abort.ts'
import { sha256, toHex, utf8 } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { PeerDirectory } from '../../ports/peers.ts'
import type {
  AttestedResult,
  Compute,
  CronAt,
  DryRunMessage,
  LocalUnits,
  MemoryDump,
  RemoteUnits,
  ResultOptions,
  ResultsPage,
  ResultsQuery,
  StateOptions,
} from '../../ports/units.ts'
import type { Address, MessageId, Nonce, ProcessId } from '../../protocol/ids.ts'
import type { Evaluation } from '../../protocol/result.ts'
import { saysWarm } from '../../protocol/unit-record.ts'
import { checkAttested } from '../compute/attest.ts'
import { type Candidate, firstAnswer, isUnitsFault } from './failover.ts'
import type { Hedge } from './hedge.ts'

export interface RoutedComputeDeps {
  readonly local: Pick<LocalUnits, 'address' | 'compute'>
  readonly directory: PeerDirectory
  readonly remote: RemoteUnits
  readonly clock: Clock
  /** When to ask a second CU for a result beside a slow one; never without. */
  readonly hedge?: Hedge | undefined
}

export interface RoutedComputeOptions {
  /** How long a CU that failed is asked last, in milliseconds. */
  readonly avoidMs: number
}
export const defaultRoutedComputeOptions: RoutedComputeOptions = { avoidMs: 5_000 }

/**
 * Answers for any Process of the network. Rendezvous hashing over the living CUs keeps a Process warm on one of them
 * whoever asks, and moves only the Processes of a CU that leaves. CUs whose record says that they have the Process live
 * come before the rest, so that one who joins takes new Processes only. A remote answer counts only as that CU signed it.
 */
export class RoutedCompute implements Compute {
  readonly #deps: RoutedComputeDeps
  readonly #options: RoutedComputeOptions
  readonly #failedAt = new LRUCache<Address, number>({ max: 1_000 })

  constructor(deps: RoutedComputeDeps, options: RoutedComputeOptions = defaultRoutedComputeOptions) {
    this.#deps = deps
    this.#options = options
  }

  result(
    process: ProcessId,
    at: MessageId | Nonce | CronAt,
    { unstored, ...options }: ResultOptions = {},
  ): Promise<AttestedResult> {
    return this.#ask(process, { ...options, twice: true }, async ({ address, unit, local }, asked) => {
      const answer = await unit.result(process, at, { ...asked, unstored })
      if (!local) await checkAttested(answer, { process, at, compute: address })
      return answer
    })
  }

  results(process: ProcessId, query: ResultsQuery, options: AbortOptions = {}): Promise<ResultsPage> {
    return this.#ask(process, { ...options, twice: true }, async ({ address, unit, local }, asked) => {
      const page = await unit.results(process, query, asked)
      if (!local) {
        for (const row of page.rows) await checkAttested(row, { process, at: row.assignment.nonce, compute: address })
      }
      return page
    })
  }

  dryRun(process: ProcessId, message: DryRunMessage, options: StateOptions = {}): Promise<Evaluation> {
    return this.#ask(process, options, ({ unit }) => unit.dryRun(process, message, options))
  }

  memory(process: ProcessId, options: StateOptions = {}): Promise<MemoryDump> {
    return this.#ask(process, options, ({ unit }) => unit.memory(process, options))
  }

  /** @param options.twice Whether a second CU may be asked beside a slow one. */
  #ask<R>(
    process: ProcessId,
    { signal, twice = false }: AbortOptions & { readonly twice?: boolean },
    call: (unit: Candidate<Compute>, asked: AbortOptions) => Promise<R>,
  ): Promise<R> {
    const noting = async (candidate: Candidate<Compute>, asked: AbortOptions): Promise<R> => {
      try {
        return await call(candidate, asked)
      } catch (error) {
        if (isUnitsFault(error)) this.#failedAt.set(candidate.address, this.#deps.clock.now())
        throw error
      }
    }
    const { directory, hedge } = this.#deps
    return firstAnswer(this.#candidates(process), noting, {
      ...{ role: 'CU', directory, signal },
      hedge: twice ? hedge : undefined,
    })
  }

  #candidates(process: ProcessId): readonly Candidate<Compute>[] {
    const { local, directory, remote } = this.#deps
    const candidates: Candidate<Compute>[] = directory
      .find('CU')
      .filter(({ address }) => address !== local.address)
      .map(record => ({ address: record.address, unit: remote.compute(record), local: false }))
    if (local.compute !== undefined) candidates.push({ address: local.address, unit: local.compute, local: true })
    if (candidates.length < 2) return candidates
    const warm = new Set(
      directory
        .find('CU')
        .filter(record => saysWarm(record, process))
        .map(record => record.address),
    )
    const byHash = rendezvous(process, candidates)
    const ranked = [
      ...byHash.filter(({ address }) => warm.has(address)),
      ...byHash.filter(({ address }) => !warm.has(address)),
    ]
    const avoided = (address: Address): boolean =>
      this.#deps.clock.now() - (this.#failedAt.get(address) ?? Number.NEGATIVE_INFINITY) < this.#options.avoidMs
    return [...ranked.filter(({ address }) => !avoided(address)), ...ranked.filter(({ address }) => avoided(address))]
  }
}

/** Highest hash of (key, address) first: each key has its own order, and all nodes agree on it. */
export function rendezvous<T extends { readonly address: Address }>(key: string, units: readonly T[]): readonly T[] {
  const weighed = units.map(unit => ({ unit, weight: toHex(sha256(utf8(`${key} ${unit.address}`))) }))
  return weighed.sort((a, b) => (a.weight < b.weight ? 1 : -1)).map(({ unit }) => unit)
}

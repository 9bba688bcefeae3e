import { LRUCache } from 'lru-cache'
import type { AbortOptions } from '../../lib/abort.ts'
import { SingleFlight } from '../../lib/single-flight.ts'
import type { HostTable } from '../../ports/hosts.ts'
import type { ResultStore } from '../../ports/result-store.ts'
import type { Nonce, ProcessId } from '../../protocol/ids.ts'
import type { Routes } from '../routing/route.ts'

export interface FollowedHostsDeps {
  readonly hosts?: HostTable | undefined
  readonly routes: Pick<Routes, 'process' | 'scheduler'>
  readonly results: Pick<ResultStore, 'get' | 'newest'>
  /** Forgets what was evaluated after a nonce. */
  readonly rewind: (process: ProcessId, to: Nonce) => Promise<void>
}

/**
 * Follows a Process to its next host: what was evaluated of its log and does not stand in the one that goes on is
 * forgotten, before anything is said of the Process again.
 */
export class FollowedHosts {
  readonly #deps: FollowedHostsDeps
  readonly #epochs = new LRUCache<ProcessId, number>({ max: 10_000 })
  readonly #flights = new SingleFlight<ProcessId, void>()

  constructor(deps: FollowedHostsDeps) {
    this.#deps = deps
  }

  isFollowed(process: ProcessId): boolean {
    const epoch = this.#deps.hosts?.newestEpoch(process) ?? 0
    return epoch === 0 || this.#epochs.get(process) === epoch
  }

  /** @throws AoError `PEER_UNREACHABLE` | `NOT_READY` while the new host cannot show the log that it goes on with. */
  async follow(process: ProcessId, options: AbortOptions): Promise<void> {
    if (this.isFollowed(process)) return
    return this.#flights.run(process, () => this.#follow(process, options))
  }

  async #follow(process: ProcessId, options: AbortOptions): Promise<void> {
    const { hosts, routes, results, rewind } = this.#deps
    if (hosts === undefined) return
    const epoch = hosts.newestEpoch(process)
    const { spec } = await routes.process(process, options)
    const last = hosts.epochsOf(process, spec.scheduler).at(-2)?.last
    const newest = await results.newest(process)
    if (last !== undefined && newest !== undefined) {
      const highest = Math.min(last.nonce, newest.result.nonce)
      const kept = await this.#common(process, highest, { last, ...options })
      // What the new host ordered itself, and was evaluated before a restart, stands and stays.
      const isVoid = kept < highest || hosts.judge(newest.assignment, spec.scheduler) === 'void'
      if (isVoid) await rewind(process, kept as Nonce)
    }
    this.#epochs.set(process, epoch)
  }

  /** The highest nonce up to which both have the same log. One hash chain means: equal there, equal before. */
  async #common(
    process: ProcessId,
    highest: number,
    { last, ...options }: AbortOptions & { readonly last: { readonly nonce: number; readonly assignment: string } },
  ): Promise<number> {
    const isSame = async (nonce: number): Promise<boolean> => {
      const own = (await this.#deps.results.get(process, nonce as Nonce))?.assignment.id
      if (own === undefined) return false
      if (nonce === last.nonce) return own === last.assignment
      const scheduler = await this.#deps.routes.scheduler(process, options)
      return (await scheduler.assignment(process, nonce as Nonce, options)).id === own
    }
    if (await isSame(highest)) return highest
    let [same, other] = [-1, highest]
    while (other - same > 1) {
      const middle = Math.floor((same + other) / 2)
      if (await isSame(middle)) same = middle
      else other = middle
    }
    return same
  }
}

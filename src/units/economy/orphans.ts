import { LRUCache } from 'lru-cache'
import type { EconomyState } from '../../economy/state.ts'
import type { AbortOptions } from '../../lib/abort.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { type Address, isId, type ProcessId } from '../../protocol/ids.ts'
import { tagsOf, tagValue } from '../../protocol/tags.ts'

export interface OrphansDeps {
  readonly arweave: Pick<ArweaveClient, 'signedBy'>
  /** Assignments of a scheduler that were seen on their way. */
  readonly recall: (scheduler: Address, limit: number) => readonly Assignment[]
}

/** Processes of one guilty SU that are looked for. */
const maxOfOne = 1000
/** Looks at Arweave in a row; then now and again: what was ordered last is settled soon. */
const firstLooks = 30
const laterLooks = 60

/**
 * Which Processes have no host. The host table names those that somebody has shown to it; those of a tombstoned SU are
 * found where its Assignments are: in what was seen of them, and on Arweave.
 */
export class Orphans {
  readonly #deps: OrphansDeps
  readonly #ofGuilty = new LRUCache<Address, { looks: number; readonly processes: Set<ProcessId> }>({ max: 100 })

  constructor(deps: OrphansDeps) {
    this.#deps = deps
  }

  async find(state: EconomyState, options: AbortOptions): Promise<ReadonlySet<ProcessId>> {
    const found = new Set<ProcessId>()
    for (const [process, row] of state.hosts.entries()) {
      const isGuilty = state.holds.get(`SU ${row.scheduler}`)?.tombstoned === true
      if (row.phase === 'bidding' || isGuilty) found.add(process as ProcessId)
    }
    for (const [key, hold] of state.holds.entries()) {
      if (!hold.tombstoned || !key.startsWith('SU ')) continue
      for (const process of await this.#hostedBy(key.slice(3) as Address, options)) {
        if (!state.hosts.has(process)) found.add(process)
      }
    }
    return found
  }

  async #hostedBy(scheduler: Address, options: AbortOptions): Promise<ReadonlySet<ProcessId>> {
    const known = this.#ofGuilty.get(scheduler) ?? { looks: 0, processes: new Set<ProcessId>() }
    this.#ofGuilty.set(scheduler, known)
    for (const { process, epoch } of this.#deps.recall(scheduler, maxOfOne))
      if (epoch === 0) known.processes.add(process)
    if (known.looks++ >= firstLooks && known.looks % laterLooks !== 0) return known.processes
    const firsts = tagsOf(['Data-Protocol', 'ao'], ['Type', 'Assignment'], ['Nonce', '0'])
    for (const { tags } of await this.#deps.arweave.signedBy(scheduler, firsts, { ...options, limit: maxOfOne })) {
      const process = tagValue(tags, 'Process')
      if (isId(process)) known.processes.add(process as ProcessId)
    }
    return known.processes
  }
}

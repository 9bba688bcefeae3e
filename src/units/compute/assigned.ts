import { LRUCache } from 'lru-cache'
import { raceSignal } from '../../lib/abort.ts'
import { hasCode } from '../../lib/errors.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import type { MessageId } from '../../protocol/ids.ts'
import { loadAssigned, type SeenItem } from '../assigned-item.ts'

/** Pauses between looks for what Arweave does not have yet, in milliseconds: gateways lag behind each other. */
const pauses = [100, 200, 400, 800]
/** An item is often assigned to many Processes at once; a few stay at hand, by their bytes. */
const maxKeptBytes = 16 * 1024 * 1024

/** Items of Arweave that Assignments name, checked; looked for a few times before it is said that they are missing. */
export class AssignedItems {
  readonly #arweave: ArweaveClient
  readonly #stopped: AbortSignal
  readonly #kept = new LRUCache<MessageId, SeenItem>({
    maxSize: maxKeptBytes,
    sizeCalculation: ({ data }) => data.length + 8_192,
  })

  constructor(arweave: ArweaveClient, stopped: AbortSignal) {
    this.#arweave = arweave
    this.#stopped = stopped
  }

  /** @throws AoError `UNKNOWN_MESSAGE` | `TOO_LARGE` | `INVALID_DATA_ITEM` | `PEER_UNREACHABLE` */
  readonly load = async ({ message: id, exclude }: Pick<Assignment, 'message' | 'exclude'>): Promise<SeenItem> => {
    const whole = !exclude.includes('Data')
    const kept = this.#kept.get(id)
    if (kept !== undefined) return kept
    const { item } = await this.#find({ id, exclude })
    if (whole) this.#kept.set(id, item)
    return item
  }

  async #find(what: { readonly id: MessageId; readonly exclude: readonly string[] }): ReturnType<typeof loadAssigned> {
    const signal = this.#stopped
    for (const pause of pauses) {
      try {
        return await loadAssigned(this.#arweave, what, { signal })
      } catch (error) {
        if (!hasCode(error, 'UNKNOWN_MESSAGE', 'PEER_UNREACHABLE')) throw error
        await raceSignal(new Promise<void>(resolve => setTimeout(resolve, pause).unref()), { signal })
      }
    }
    return loadAssigned(this.#arweave, what, { signal })
  }
}

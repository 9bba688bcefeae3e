import { LRUCache } from 'lru-cache'
import type { CrankJob, CrankQueue } from '../../ports/crank-queue.ts'
import type { MessageId } from '../../protocol/ids.ts'

/** How many messages each root has set off here, up to a limit: at hand for the busy ones, on disk for all. */
export class RootBudget {
  readonly #queue: Pick<CrankQueue, 'countOfRoot'>
  readonly #limit: number
  readonly #counts = new LRUCache<MessageId, number>({ max: 10_000 })

  constructor(queue: Pick<CrankQueue, 'countOfRoot'>, limit: number) {
    this.#queue = queue
    this.#limit = limit
  }

  /** Whether the root has set off as many as it may. */
  async isSpent(root: MessageId): Promise<boolean> {
    const known = this.#counts.get(root)
    if (known !== undefined && known < this.#limit) return false
    // The count at hand does not know what was forgotten since; the disk does.
    const count = await this.#queue.countOfRoot(root, this.#limit)
    this.#counts.set(root, count)
    return count >= this.#limit
  }

  /** Told of jobs once they are on disk. */
  added(jobs: readonly CrankJob[]): void {
    for (const { root } of jobs) {
      const known = this.#counts.get(root)
      if (known !== undefined) this.#counts.set(root, known + 1)
    }
  }
}

import type { AbortOptions } from '../../lib/abort.ts'
import type { CrankJob } from '../../ports/crank-queue.ts'
import type { MessageId } from '../../protocol/ids.ts'
import { type Bell, Bells } from '../bell.ts'

/** One reader's view of a root: the newest state of each job since it last looked. */
export interface Reader {
  /** Resolves when there is something, or when the feed is rung for all. */
  wait(options: AbortOptions): Promise<void>
  take(): readonly CrankJob[]
  isEmpty(): boolean
  close(): void
}

/** Tells those who follow a root of each change of its jobs, so that nobody reads all of them again for one. */
export class Feed {
  readonly #bells: Bells<MessageId>
  readonly #readers = new Map<MessageId, Set<Map<string, CrankJob>>>()

  constructor(limit: number) {
    this.#bells = new Bells(limit)
  }

  /** Give it back with `close`. A reader holds at most as many jobs as its root has. @throws AoError `OVERLOADED` */
  open(root: MessageId): Reader {
    const bell: Bell = this.#bells.hang(root)
    const news = new Map<string, CrankJob>()
    const readers = this.#readers.get(root) ?? new Set()
    this.#readers.set(root, readers.add(news))
    return {
      wait: options => bell.wait(options),
      take: () => {
        const jobs = [...news.values()]
        news.clear()
        return jobs
      },
      isEmpty: () => news.size === 0,
      close: () => {
        this.#bells.take(root, bell)
        readers.delete(news)
        if (readers.size === 0) this.#readers.delete(root)
      },
    }
  }

  /** Told of jobs once they are on disk. */
  changed(jobs: readonly CrankJob[]): void {
    for (const job of jobs) {
      const readers = this.#readers.get(job.root)
      if (readers === undefined) continue
      for (const news of readers) news.set(`${job.process} ${job.message}`, job)
      this.#bells.ring(job.root)
    }
  }

  ringAll(): void {
    this.#bells.ringAll()
  }
}

import type { CrankJob, CrankQueue } from '../ports/crank-queue.ts'
import type { MessageId, ProcessId } from '../protocol/ids.ts'
import { isOpenJob } from './crank-job.ts'

/** A CrankQueue that forgets everything at the end of the program. */
export class MemoryCrankQueue implements CrankQueue {
  readonly #jobs = new Map<string, CrankJob>()

  async write({
    add = [],
    update = [],
  }: {
    readonly add?: readonly CrankJob[]
    readonly update?: readonly CrankJob[]
  }): Promise<void> {
    for (const job of add) if (!this.#jobs.has(keyOf(job.process, job.message))) this.#set(job)
    for (const job of update) this.#set(job)
  }

  async get(process: ProcessId, message: MessageId): Promise<CrankJob | undefined> {
    return this.#jobs.get(keyOf(process, message))
  }

  async open(limit: number): Promise<readonly CrankJob[]> {
    return [...this.#jobs.values()]
      .filter(isOpenJob)
      .sort((a, b) => a.dueAt - b.dueAt)
      .slice(0, limit)
  }

  async ofRoot(root: MessageId): Promise<readonly CrankJob[]> {
    return [...this.#jobs.values()].filter(job => job.root === root)
  }

  async size(): Promise<number> {
    return [...this.#jobs.values()].filter(isOpenJob).length
  }

  #set(job: CrankJob): void {
    this.#jobs.set(keyOf(job.process, job.message), job)
  }
}

const keyOf = (process: ProcessId, message: MessageId): string => `${process} ${message}`

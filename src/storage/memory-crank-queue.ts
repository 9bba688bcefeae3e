import type { CrankChange, CrankJob, CrankQueue, CrankRetention, CrankWriteOptions } from '../ports/crank-queue.ts'
import type { MessageId, ProcessId } from '../protocol/ids.ts'
import { isOpenJob } from './crank-job.ts'

/** A CrankQueue that forgets everything at the end of the program. */
export class MemoryCrankQueue implements CrankQueue {
  readonly #jobs = new Map<string, CrankJob>()
  readonly #items = new Map<string, Uint8Array>()
  readonly #signed = new Map<string, Map<number, Uint8Array>>()

  async write(
    { add = [], update = [] }: CrankChange,
    { onAdding }: CrankWriteOptions = {},
  ): Promise<readonly CrankJob[]> {
    const added = add.filter(job => {
      const isNew = !this.#jobs.has(keyOf(job.process, job.message))
      if (isNew) this.#set(job)
      if (isNew && job.item !== undefined) this.#items.set(keyOf(job.process, job.message), job.item)
      return isNew
    })
    for (const job of update) this.#set(job)
    onAdding?.(added)
    return added
  }

  async get(process: ProcessId, message: MessageId): Promise<CrankJob | undefined> {
    return this.#jobs.get(keyOf(process, message))
  }

  async item(process: ProcessId, message: MessageId): Promise<Uint8Array | undefined> {
    return this.#items.get(keyOf(process, message))
  }

  async signedPart(process: ProcessId, message: MessageId, index: number): Promise<Uint8Array | undefined> {
    return this.#signed.get(keyOf(process, message))?.get(index)
  }

  async keepSignedPart(process: ProcessId, message: MessageId, index: number, item: Uint8Array): Promise<void> {
    const parts = this.#signed.get(keyOf(process, message)) ?? new Map<number, Uint8Array>()
    this.#signed.set(keyOf(process, message), parts.set(index, item))
  }

  async ofProcess(process: ProcessId): Promise<readonly CrankJob[]> {
    return [...this.#jobs.values()].filter(job => job.process === process)
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

  async countOfRoot(root: MessageId, limit: number): Promise<number> {
    return Math.min(limit, (await this.ofRoot(root)).length)
  }

  async size(): Promise<number> {
    return [...this.#jobs.values()].filter(isOpenJob).length
  }

  async ended(): Promise<number> {
    return this.#jobs.size - (await this.size())
  }

  async purge({ endedBefore, keepAtMost, limit }: CrankRetention): Promise<number> {
    const ended = [...this.#jobs.values()].filter(job => !isOpenJob(job)).sort((a, b) => a.at - b.at)
    const tooMany = ended.length - keepAtMost
    const gone = ended.filter((job, i) => i < tooMany || job.at < endedBefore).slice(0, limit)
    for (const { process, message } of gone) {
      this.#jobs.delete(keyOf(process, message))
      this.#items.delete(keyOf(process, message))
      this.#signed.delete(keyOf(process, message))
    }
    return gone.length
  }

  #set({ item: _, ...job }: CrankJob): void {
    this.#jobs.set(keyOf(job.process, job.message), job)
  }
}

const keyOf = (process: ProcessId, message: MessageId): string => `${process} ${message}`

import type { AssignmentLog, LogEntry, Sought } from '../ports/assignment-log.ts'
import type { Assignment, ScheduledMessage } from '../protocol/assignment.ts'
import type { DataItem } from '../protocol/data-item.ts'
import type { Id, MessageId, Nonce, ProcessId } from '../protocol/ids.ts'
import type { Origin } from '../protocol/origin.ts'
import { checkAppend } from './append-check.ts'

interface ProcessLog {
  readonly entries: ScheduledMessage[]
  readonly nonces: Map<MessageId | Origin, Nonce>
}

/** An AssignmentLog that forgets everything at the end of the program. */
export class MemoryAssignmentLog implements AssignmentLog {
  readonly #processes = new Map<ProcessId, ProcessLog>()
  readonly #order: ScheduledMessage[] = []

  async tail(process: ProcessId): Promise<Assignment | undefined> {
    return this.#processes.get(process)?.entries.at(-1)?.assignment
  }

  async at(process: ProcessId, nonce: Nonce): Promise<Assignment | undefined> {
    return this.#processes.get(process)?.entries[nonce]?.assignment
  }

  async find(process: ProcessId, message: MessageId): Promise<Assignment | undefined> {
    const nonce = this.#processes.get(process)?.nonces.get(message)
    return nonce === undefined ? undefined : this.at(process, nonce)
  }

  async findMany(sought: readonly Sought[]): Promise<readonly (Assignment | undefined)[]> {
    return sought.map(({ process, message, origin }) => {
      const log = this.#processes.get(process)
      const nonce = log?.nonces.get(message) ?? (origin === undefined ? undefined : log?.nonces.get(origin))
      return nonce === undefined ? undefined : log?.entries[nonce]?.assignment
    })
  }

  async process(process: ProcessId): Promise<DataItem | undefined> {
    return this.#processes.get(process)?.entries[0]?.message
  }

  async append(batch: readonly LogEntry[]): Promise<void> {
    checkAppend(batch, {
      tail: process => this.#processes.get(process)?.entries.at(-1)?.assignment.nonce,
      nonceOf: (process, message) => this.#processes.get(process)?.nonces.get(message),
    })
    for (const { origin, settled, ...scheduled } of batch) {
      const { id, process, message, nonce } = scheduled.assignment
      const log: ProcessLog = this.#processes.get(process) ?? { entries: [], nonces: new Map() }
      this.#processes.set(process, log)
      log.entries.push(scheduled)
      log.nonces.set(message, nonce)
      if (origin !== undefined) log.nonces.set(origin, nonce)
      log.nonces.set(id as Id as MessageId, nonce)
      if (settled !== true) this.#order.push(scheduled)
    }
  }

  async *read(
    process: ProcessId,
    { from, to }: { from: Nonce; to?: Nonce | undefined },
  ): AsyncIterable<ScheduledMessage> {
    const entries = this.#processes.get(process)?.entries ?? []
    yield* entries.slice(from, to === undefined ? undefined : to + 1)
  }

  async readAll(after: number, limit: number): Promise<readonly { position: number; scheduled: ScheduledMessage }[]> {
    return this.#order.slice(after, after + limit).map((scheduled, i) => ({ position: after + i + 1, scheduled }))
  }

  async *tails(): AsyncIterable<Assignment> {
    for (const process of this.#processes.keys()) {
      const tail = await this.tail(process)
      if (tail !== undefined) yield tail
    }
  }

  async size(): Promise<number> {
    return this.#order.length
  }
}

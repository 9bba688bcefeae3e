import type { PromisedDelivery, PromiseHead, PromiseStore } from '../ports/promise-store.ts'
import type { MessageId } from '../protocol/ids.ts'

/** A PromiseStore that forgets everything at the end of the program. */
export class MemoryPromiseStore implements PromiseStore {
  readonly #rows = new Map<MessageId, PromisedDelivery>()

  async heads(): Promise<readonly PromiseHead[]> {
    return [...this.#rows.values()].map(({ process, message, deadline, assignment }) => ({
      ...{ process, message, deadline },
      isOrdered: assignment !== undefined,
    }))
  }

  async get(message: MessageId): Promise<PromisedDelivery | undefined> {
    return this.#rows.get(message)
  }

  async put(promised: PromisedDelivery): Promise<void> {
    this.#rows.set(promised.message, promised)
  }

  async remove(message: MessageId): Promise<void> {
    this.#rows.delete(message)
  }
}

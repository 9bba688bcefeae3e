import { toUtf8, utf8 } from '../lib/bytes.ts'
import type { PromisedDelivery, PromiseHead, PromiseStore } from '../ports/promise-store.ts'
import type { MessageId } from '../protocol/ids.ts'
import { decoding } from './decoding.ts'
import { idPart, KeySpace } from './keys.ts'
import { joinParts, splitParts } from './parts.ts'
import { del, put, type Store } from './store.ts'

/** message → the PromiseHead as JSON. */
const heads = new KeySpace('promise-head')
/** message → item, promise and assignment (empty: none yet). */
const bodies = new KeySpace('promise-body')

/** The PromiseStore on disk. */
export class LevelPromiseStore implements PromiseStore {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  async heads(): Promise<readonly PromiseHead[]> {
    const found: PromiseHead[] = []
    for await (const [, value] of this.#store.entries(heads.range())) found.push(headFrom(value))
    return found
  }

  async get(message: MessageId): Promise<PromisedDelivery | undefined> {
    const [head, body] = await Promise.all([
      this.#store.get(heads.key(idPart(message))),
      this.#store.get(bodies.key(idPart(message))),
    ])
    if (head === undefined || body === undefined) return undefined
    const { process, deadline } = headFrom(head)
    const [item, promise, assignment] = splitParts(body, 3)
    return { process, message, deadline, item, promise, assignment: assignment.length === 0 ? undefined : assignment }
  }

  put({ process, message, deadline, item, promise, assignment }: PromisedDelivery): Promise<void> {
    const head: PromiseHead = { process, message, deadline, isOrdered: assignment !== undefined }
    return this.#store.write([
      put(heads.key(idPart(message)), utf8(JSON.stringify(head))),
      put(bodies.key(idPart(message)), joinParts(item, promise, assignment ?? new Uint8Array(0))),
    ])
  }

  remove(message: MessageId): Promise<void> {
    return this.#store.write([del(heads.key(idPart(message))), del(bodies.key(idPart(message)))])
  }
}

const headFrom = (value: Uint8Array): PromiseHead =>
  decoding('promise-head', () => JSON.parse(toUtf8(value)) as PromiseHead)

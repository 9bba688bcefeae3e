import type { ResultStore } from '../../ports/result-store.ts'
import type { Address, Nonce } from '../../protocol/ids.ts'
import { type Origin, originOf } from '../../protocol/origin.ts'
import { type Evaluation, emptyOutbox } from '../../protocol/result.ts'
import type { CheckedRow } from './schedule-check.ts'

/**
 * What a message gives that stood in the schedule before, or that pushes the same part of the same Result as one before:
 * nothing. An honest SU gives each one place; a dishonest one can neither make it count twice nor stop the Process.
 */
export const repeatOf = (first: Nonce): Evaluation => ({
  outbox: emptyOutbox,
  output: '',
  error: `repeat of nonce ${first}`,
  gasUsed: 0n,
})

export interface Standing {
  /** Where the message, or what it pushes, stood before; undefined for what is new. */
  readonly first: Nonce | undefined
  readonly origin: Origin | undefined
}

/** Tells of each message of a Process, in their order, whether it stood before. */
export class Standings {
  readonly #results: ResultStore
  readonly #authorities: readonly Address[]
  /** Ids and origins of messages whose Result is not stored yet. */
  readonly #pending = new Map<string, Nonce>()

  constructor(results: ResultStore, authorities: readonly Address[]) {
    this.#results = results
    this.#authorities = authorities
  }

  async of({ assignment, message }: CheckedRow): Promise<Standing> {
    const { process, nonce } = assignment
    const origin = originOf(message, this.#authorities)
    const names = namesOf(assignment.message, origin)
    // First those that are pending: what leaves them is stored by then.
    const places = names.map(name => this.#pending.get(name))
    places.push(await this.#results.nonceOf(process, assignment.message, origin))
    const first = Math.min(...places.map(place => place ?? nonce), nonce) as Nonce
    for (const name of names) if (!this.#pending.has(name)) this.#pending.set(name, nonce)
    return { first: first < nonce ? first : undefined, origin }
  }

  stored({ assignment: { message, nonce } }: CheckedRow, { origin }: Standing): void {
    for (const name of namesOf(message, origin)) if (this.#pending.get(name) === nonce) this.#pending.delete(name)
  }
}

const namesOf = (message: string, origin: Origin | undefined): readonly string[] =>
  origin === undefined ? [message] : [message, origin]

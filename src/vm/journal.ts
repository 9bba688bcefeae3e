import type { Step, VmMessage } from '../ports/vm.ts'

/** More than that, and copying the state is cheaper than evaluating again. */
const maxMessages = 16
const maxMs = 20
const maxBytes = 64 << 10

interface Entry {
  readonly applied: number
  /** None for one that failed: it changed nothing. */
  readonly message: VmMessage | undefined
  readonly ms: number
  readonly bytes: number
}

export interface Missed {
  /** How many messages led to the state after these. */
  readonly applied: number
  readonly messages: readonly VmMessage[]
}

/** The last few messages of a live instance: a copy that is as little behind is brought up to date with them. */
export class Journal {
  #entries: Entry[] = []
  #applied: number | undefined

  /** @param ms what evaluating it took. */
  note({ applied, evaluation }: Pick<Step, 'applied' | 'evaluation'>, message: VmMessage, ms: number): void {
    this.#applied = applied
    const kept = evaluation.error === undefined ? message : undefined
    this.#entries.push({ applied, message: kept, ms, bytes: sizeOf(kept) })
    while (this.#isFull()) this.#entries.shift()
  }

  /** What came after the first `from` messages; undefined if not all of it is known. */
  since(from: number): Missed | undefined {
    const after = this.#entries.filter(({ applied }) => applied > from)
    if (this.#applied === undefined || after.length !== this.#applied - from) return undefined
    return {
      applied: this.#applied,
      messages: after.flatMap(({ message }) => (message === undefined ? [] : [message])),
    }
  }

  #isFull(): boolean {
    const total = (of: (entry: Entry) => number): number => this.#entries.reduce((sum, entry) => sum + of(entry), 0)
    return this.#entries.length > maxMessages || total(({ ms }) => ms) > maxMs || total(({ bytes }) => bytes) > maxBytes
  }
}

const sizeOf = (message: VmMessage | undefined): number => {
  const data = message?.['Data']
  return typeof data === 'string' ? data.length : 0
}

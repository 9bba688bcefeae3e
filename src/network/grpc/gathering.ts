/** Takes one by one what is ready in one turn of the program, and hands it on together. No timer: nothing waits for more. */
export class Gathering<T> {
  readonly #flush: (ready: readonly T[]) => Promise<void>
  #ready: T[] = []
  #turn: Promise<void> | undefined

  constructor(flush: (ready: readonly T[]) => Promise<void>) {
    this.#flush = flush
  }

  /** Settles as the flush that takes it along. */
  add(one: T): Promise<void> {
    this.#ready.push(one)
    this.#turn ??= new Promise((resolve, reject) => {
      process.nextTick(() => {
        const ready = this.#ready
        this.#ready = []
        this.#turn = undefined
        this.#flush(ready).then(resolve, reject)
      })
    })
    return this.#turn
  }
}

/** Most that travels in one message of a submit stream: beyond that a frame saves little, and others wait behind it. */
export const maxGathered = { entries: 64, bytes: 64 * 1024 } as const

/** What is larger goes by a call of its own, so that small items and answers do not wait behind it. */
export const maxStreamedBytes = maxGathered.bytes

/** In order, as few groups as the limits allow; a larger one is alone. */
export function grouped<T>(all: readonly T[], bytesOf: (one: T) => number): readonly (readonly [T, ...T[]])[] {
  const groups: [T, ...T[]][] = []
  let bytes = 0
  for (const one of all) {
    const last = groups.at(-1)
    bytes += bytesOf(one)
    if (last === undefined || last.length >= maxGathered.entries || bytes > maxGathered.bytes) {
      groups.push([one])
      bytes = bytesOf(one)
    } else last.push(one)
  }
  return groups
}

import type { BootItem } from '../ports/vm.ts'

/** How far a file is from where a seek counts, as POSIX numbers it. */
const fromStart = 0
const fromHere = 1

/**
 * The one file that a Process can read, while its first message is evaluated: the item that its tag `On-Boot` names. As
 * WeaveDrive has it, reading goes on where the last read ended, whatever was sought: aos seeks the end for the length
 * and then reads all.
 */
export class BootFile {
  /** None of those that every program has. */
  readonly descriptor = 3
  readonly #path: string
  readonly #data: Uint8Array
  #read = 0
  #sought = 0

  constructor({ id, data }: BootItem) {
    this.#path = `/data/${id}`
    this.#data = data
  }

  /** Begins anew; false if it is another file that is meant. */
  open(path: string): boolean {
    if (path !== this.#path) return false
    this.#read = 0
    this.#sought = 0
    return true
  }

  /** The next bytes, at most `length`. */
  read(length: number): Uint8Array {
    const part = this.#data.subarray(this.#read, this.#read + length)
    this.#read += part.length
    return part
  }

  /** Where that is, in bytes from the start; undefined if it is before it. */
  seek(offset: number, whence: number): number | undefined {
    const base = whence === fromStart ? 0 : whence === fromHere ? this.#sought : this.#data.length
    if (base + offset < 0) return undefined
    this.#sought = base + offset
    return this.#sought
  }
}

import { refusal } from './refusal.ts'

/** A growing buffer of module bytes that refuses to grow beyond `limit`. */
export class BinaryWriter {
  readonly #limit: number
  #bytes: Uint8Array
  #length = 0

  constructor(initialBytes: number, limitBytes: number) {
    this.#bytes = new Uint8Array(Math.min(Math.max(initialBytes, 64), limitBytes))
    this.#limit = limitBytes
  }

  get length(): number {
    return this.#length
  }

  /** What is written, as a view that the next write may change. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  clear(): void {
    this.#length = 0
  }

  byte(byte: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = byte
  }

  bytes(...bytes: readonly number[]): void {
    this.#reserve(bytes.length)
    for (const byte of bytes) this.#bytes[this.#length++] = byte
  }

  u32(value: number): void {
    this.#reserve(5)
    let rest = value
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#bytes[this.#length++] = rest
  }

  /** A signed LEB128 of a number from 0 to 2^53. */
  signed(value: number): void {
    this.#reserve(8)
    let rest = value
    while (rest > 0x3f) {
      this.#bytes[this.#length++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#length++] = rest
  }

  name(text: string): void {
    const bytes = Buffer.from(text, 'utf8')
    this.u32(bytes.length)
    this.copy(bytes, 0, bytes.length)
  }

  copy(source: Uint8Array, from: number, to: number): void {
    const count = to - from
    this.#reserve(count)
    // For the few bytes between two insertions a loop is faster than making a view.
    if (count < 48) for (let i = from; i < to; i++) this.#bytes[this.#length++] = source[i] as number
    else {
      this.#bytes.set(source.subarray(from, to), this.#length)
      this.#length += count
    }
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    if (needed > this.#limit) {
      throw refusal('too-big', 'the module or one of its functions is too big once metered', { limit: this.#limit })
    }
    const grown = new Uint8Array(Math.min(Math.max(this.#bytes.length * 2, needed), this.#limit))
    grown.set(this.view())
    this.#bytes = grown
  }
}

import { refusal } from './refusal.ts'

/** Reads a slice of a module. Never past its end, never more than is there: whatever the bytes say. */
export class BinaryReader {
  readonly bytes: Uint8Array
  readonly end: number
  at: number

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }

  get done(): boolean {
    return this.at >= this.end
  }

  byte(): number {
    const byte = this.at < this.end ? this.bytes[this.at++] : undefined
    if (byte === undefined) throw cutShort()
    return byte
  }

  /** The byte at the cursor without taking it, or -1 at the end. */
  peek(): number {
    return this.at < this.end ? (this.bytes[this.at] ?? -1) : -1
  }

  skip(count: number): void {
    if (count > this.end - this.at) throw cutShort()
    this.at += count
  }

  /** An unsigned LEB128 of 32 bits. */
  u32(): number {
    let value = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    const last = this.byte()
    if (last > 0x0f) throw refusal('invalid', 'the module holds a number of more than 32 bits')
    return value + last * 2 ** 28
  }

  /** An unsigned LEB128 of 64 bits as a number; those above 2^53 are rounded. */
  u64(): number {
    let value = 0
    for (let factor = 1; factor < 2 ** 70; factor *= 128) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
    throw refusal('invalid', 'the module holds a number of more than 64 bits')
  }

  /** Passes over a LEB128 of up to 64 bits, signed or not. */
  skipLeb(): void {
    for (let length = 0; length < 10; length++) if (this.byte() < 0x80) return
    throw refusal('invalid', 'the module holds a number of more than 64 bits')
  }

  /** How many entries follow. Each takes a byte at least, so more than there are bytes left is a lie. */
  count(what: string, limit: number): number {
    const count = this.u32()
    if (count > limit) throw refusal('too-big', `the module has too many ${what}`, { count, limit })
    if (count > this.end - this.at) throw cutShort()
    return count
  }

  name(limit: number): string {
    const length = this.count('bytes in a name', limit)
    const start = this.at
    this.skip(length)
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, length).toString('utf8')
  }

  /** A reader of the next `size` bytes; this one goes on behind them. */
  slice(size: number): BinaryReader {
    const start = this.at
    this.skip(size)
    return new BinaryReader(this.bytes, start, this.at)
  }
}

const cutShort = () => refusal('invalid', 'the module is cut short')

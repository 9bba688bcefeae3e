// What `src/protocol` uses of Node's Buffer, in plain JavaScript: the bundle of AO-Sec Origin puts it in its place.
// Not for use in a node. Held to Node's own Buffer by test/unit/modules/guest.test.ts.

type Encoding = 'utf8' | 'base64url' | 'hex' | 'latin1'
const base64Letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const base64Values = new Map([...base64Letters].map((letter, value) => [letter, value]))

export class GuestBuffer extends Uint8Array {
  static isBuffer(value: unknown): value is GuestBuffer {
    return value instanceof GuestBuffer
  }

  static alloc(length: number): GuestBuffer {
    return new GuestBuffer(length)
  }

  static override from(value: unknown, second?: unknown, third?: unknown): GuestBuffer {
    if (typeof value === 'string') return encode(value, (second as Encoding | undefined) ?? 'utf8')
    if (value instanceof ArrayBuffer) return new GuestBuffer(value, second as number, third as number)
    const bytes = value as ArrayLike<number>
    const copy = new GuestBuffer(bytes.length)
    copy.set(bytes)
    return copy
  }

  static concat(parts: readonly Uint8Array[]): GuestBuffer {
    const whole = new GuestBuffer(parts.reduce((sum, { length }) => sum + length, 0))
    let at = 0
    for (const part of parts) {
      whole.set(part, at)
      at += part.length
    }
    return whole
  }

  equals(other: Uint8Array): boolean {
    return this.length === other.length && this.every((byte, i) => byte === other[i])
  }

  override subarray(from?: number, to?: number): GuestBuffer {
    return super.subarray(from, to) as GuestBuffer
  }

  override toString(encoding: Encoding = 'utf8'): string {
    if (encoding === 'utf8') return decodeUtf8(this)
    if (encoding === 'latin1') return Array.from(this, byte => String.fromCharCode(byte)).join('')
    return encoding === 'hex' ? toHex(this) : toBase64Url(this)
  }

  /** @returns how many bytes that were; there has to be room for them. */
  write(text: string, at = 0, encoding: Encoding = 'utf8'): number {
    const bytes = encode(text, encoding)
    this.set(bytes, at)
    return bytes.length
  }

  readUInt16LE(at = 0): number {
    return (this[at] ?? 0) | ((this[at + 1] ?? 0) << 8)
  }

  readBigUInt64LE(at = 0): bigint {
    let value = 0n
    for (let i = 7; i >= 0; i--) value = (value << 8n) | BigInt(this[at + i] ?? 0)
    return value
  }

  writeUInt16LE(value: number): void {
    this[0] = value & 0xff
    this[1] = value >>> 8
  }

  writeUInt32BE(value: number): void {
    for (let i = 0; i < 4; i++) this[i] = (value >>> (24 - 8 * i)) & 0xff
  }

  writeBigUInt64LE(value: bigint): void {
    for (let i = 0; i < 8; i++) this[i] = Number((value >> BigInt(8 * i)) & 0xffn)
  }
}

/** Strict, as Node's `isUtf8`: no overlong forms, no halves of pairs, nothing above U+10FFFF. */
export function isUtf8(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; ) {
    const length = sequenceLength(bytes, i)
    if (length === 0) return false
    i += length
  }
  return true
}

/** Bytes of the well-formed character at `i`; 0 if there is none. */
function sequenceLength(bytes: Uint8Array, i: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = [bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]
  const left = bytes.length - i
  const tail = (byte: number): boolean => byte >= 0x80 && byte < 0xc0
  if (a < 0x80) return 1
  if (a >= 0xc2 && a < 0xe0) return left >= 2 && tail(b) ? 2 : 0
  if (a >= 0xe0 && a < 0xf0) {
    const right = (a !== 0xe0 || b >= 0xa0) && (a !== 0xed || b < 0xa0)
    return left >= 3 && tail(b) && tail(c) && right ? 3 : 0
  }
  if (a >= 0xf0 && a < 0xf5) {
    const right = (a !== 0xf0 || b >= 0x90) && (a !== 0xf4 || b < 0x90)
    return left >= 4 && tail(b) && tail(c) && tail(d) && right ? 4 : 0
  }
  return 0
}

/** Of well-formed bytes; each byte that is not becomes U+FFFD. */
function decodeUtf8(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; ) {
    const length = sequenceLength(bytes, i)
    const [a = 0, b = 0, c = 0, d = 0] = [bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]
    if (length === 0) text += '\uFFFD'
    else if (length === 1) text += String.fromCharCode(a)
    else if (length === 2) text += String.fromCharCode(((a & 31) << 6) | (b & 63))
    else if (length === 3) text += String.fromCharCode(((a & 15) << 12) | ((b & 63) << 6) | (c & 63))
    else text += String.fromCodePoint(((a & 7) << 18) | ((b & 63) << 12) | ((c & 63) << 6) | (d & 63))
    i += Math.max(1, length)
  }
  return text
}

function encode(text: string, encoding: Encoding): GuestBuffer {
  if (encoding === 'utf8') return GuestBuffer.from(utf8Bytes(text))
  if (encoding === 'base64url') return GuestBuffer.from(base64Bytes(text))
  if (encoding === 'latin1') return GuestBuffer.from(Array.from(text, letter => letter.charCodeAt(0) & 0xff))
  const bytes: number[] = []
  for (let i = 0; i + 1 < text.length; i += 2) bytes.push(Number.parseInt(text.slice(i, i + 2), 16))
  return GuestBuffer.from(bytes)
}

function utf8Bytes(text: string): number[] {
  const bytes: number[] = []
  for (const character of text) {
    const found = character.codePointAt(0) ?? 0
    const code = found >= 0xd800 && found < 0xe000 ? 0xfffd : found // half of a pair
    if (code < 0x80) bytes.push(code)
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63))
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63))
    else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63))
  }
  return bytes
}

/** Callers have checked the letters. */
function base64Bytes(text: string): number[] {
  const bytes: number[] = []
  let [bits, count] = [0, 0]
  for (const letter of text) {
    bits = ((bits << 6) | (base64Values.get(letter) ?? 0)) & 0xffffff
    count += 6
    if (count < 8) continue
    count -= 8
    bytes.push((bits >> count) & 0xff)
  }
  return bytes
}

const hexDigits = '0123456789abcdef'
const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, byte => `${hexDigits[byte >> 4]}${hexDigits[byte & 15]}`).join('')

function toBase64Url(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const [a = 0, b = 0, c = 0] = [bytes[i], bytes[i + 1], bytes[i + 2]]
    const four = [a >> 2, ((a & 3) << 4) | (b >> 4), ((b & 15) << 2) | (c >> 6), c & 63]
    const letters = Math.min(4, bytes.length - i + 1)
    for (let j = 0; j < letters; j++) text += base64Letters[four[j] ?? 0]
  }
  return text
}

export { GuestBuffer as Buffer }

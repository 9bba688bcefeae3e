import { createHash, hash as oneShot } from 'node:crypto'

export const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8')
export const toUtf8 = (bytes: Uint8Array): string => asBuffer(bytes).toString('utf8')
export const toBase64Url = (bytes: Uint8Array): string => asBuffer(bytes).toString('base64url')
export const fromBase64Url = (text: string): Uint8Array => Buffer.from(text, 'base64url')
export const toHex = (bytes: Uint8Array): string => asBuffer(bytes).toString('hex')
export const concat = (...parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts)
export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => asBuffer(a).equals(b)
/** A copy that owns its memory: views of a received frame must not be kept. */
export const copyOf = (bytes: Uint8Array): Uint8Array => Buffer.from(bytes)

export const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => digest('sha256', parts)
/** The SHA-256 as 43 characters, at half the cost of its bytes. */
export const sha256Text = (bytes: Uint8Array): string => oneShot('sha256', bytes, 'base64url')
export const sha384 = (...parts: readonly Uint8Array[]): Uint8Array => digest('sha384', parts)

/** The same memory as a Buffer, without a copy. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Up to so many bytes it is faster to join the parts than to hash one after the other. */
const joinedBytes = 4096

function digest(algorithm: 'sha256' | 'sha384', parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts
  if (only !== undefined && parts.length === 1) return atOnce(algorithm, only)
  let length = 0
  for (const part of parts) length += part.length
  if (length <= joinedBytes) return atOnce(algorithm, concat(...parts))
  const hash = createHash(algorithm)
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** Through text, one character a byte: to make a Buffer around OpenSSL's bytes takes longer than a short hash. */
const atOnce = (algorithm: 'sha256' | 'sha384', bytes: Uint8Array): Uint8Array =>
  Buffer.from(oneShot(algorithm, bytes, 'binary'), 'latin1')

import { concat, utf8 } from '../../lib/bytes.ts'
import { AoError } from '../../lib/errors.ts'

/** A piece of a gRPC-Web body: a message, or the trailers that end it. */
export interface WebFrame {
  readonly trailers: boolean
  readonly bytes: Uint8Array
}

const headBytes = 5
const trailerFlag = 0x80

/** One frame: a flag byte, the length as u32 big-endian, the bytes. Source: grpc/grpc `doc/PROTOCOL-WEB.md`. */
export function encodeWebFrame({ trailers, bytes }: WebFrame): Uint8Array {
  const head = Buffer.alloc(headBytes)
  head[0] = trailers ? trailerFlag : 0
  head.writeUInt32BE(bytes.length, 1)
  return concat(head, bytes)
}

/**
 * Cuts a body into frames as it arrives.
 *
 * @throws AoError `TOO_LARGE` for a frame over `maxBytes`; `INVALID_RECORD` if the body ends inside one.
 */
export async function* decodeWebFrames(
  body: AsyncIterable<Uint8Array>,
  { maxBytes }: { readonly maxBytes: number },
): AsyncGenerator<WebFrame, void, undefined> {
  let rest: Uint8Array = new Uint8Array(0)
  for await (const chunk of body) {
    rest = rest.length === 0 ? chunk : concat(rest, chunk)
    for (;;) {
      if (rest.length < headBytes) break
      const length = Buffer.from(rest.buffer, rest.byteOffset, headBytes).readUInt32BE(1)
      if (length > maxBytes) throw new AoError('TOO_LARGE', 'a message of the call is too large', { length, maxBytes })
      if (rest.length < headBytes + length) break
      yield { trailers: ((rest[0] ?? 0) & trailerFlag) !== 0, bytes: rest.subarray(headBytes, headBytes + length) }
      rest = rest.subarray(headBytes + length)
    }
  }
  if (rest.length > 0) throw new AoError('INVALID_RECORD', 'the answer ended in the middle of a message')
}

/** Trailers as lines of `name: value`. */
export const encodeTrailers = (fields: Readonly<Record<string, string>>): Uint8Array =>
  utf8(
    Object.entries(fields)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join(''),
  )

export function decodeTrailers(bytes: Uint8Array): Readonly<Record<string, string>> {
  const lines = Buffer.from(bytes).toString('latin1').split('\r\n')
  const pairs = lines.flatMap(line => {
    const at = line.indexOf(':')
    return at > 0 ? [[line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim()] as const] : []
  })
  return Object.fromEntries(pairs)
}

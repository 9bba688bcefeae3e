import type { Stream } from '@libp2p/interface'
import { type AbortOptions, throwIfAborted } from '../../lib/abort.ts'
import { asBuffer, concat } from '../../lib/bytes.ts'
import { AoError } from '../../lib/errors.ts'
import { maxRecordBytes } from './record-rules.ts'

/** Records in one answer, and the bytes they may fill together: a full book of usual records of about 1.3 KB. */
const maxRecords = 4096
const maxAnswerBytes = 8 * 1024 * 1024
/** Records put into one write. */
const batchRecords = 32
const emptyAnswerMs = 10_000
/** Any one byte asks for the records. */
const request = Uint8Array.of(0)

/**
 * Resolves when the asking side has asked.
 *
 * It asks by a byte once its end of the stream is set up. libp2p loses what reaches a stream together with its end
 * while the protocol is still being agreed on (seen in libp2p 3.3.11), so an answer must not come unasked.
 *
 * @throws AoError `PEER_UNREACHABLE` if the stream ends first, `DEADLINE` | `ABORTED` by the signal.
 */
export function requested(stream: Stream, { signal }: AbortOptions = {}): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: AoError): void => {
      stream.removeEventListener('message', onMessage)
      stream.removeEventListener('close', onClose)
      signal?.removeEventListener('abort', onAbort)
      if (error === undefined) resolve()
      else reject(error)
    }
    const onMessage = (): void => settle()
    const onClose = (): void => settle(new AoError('PEER_UNREACHABLE', 'the stream ended before a request'))
    const onAbort = (): void => settle(AoError.from(signal?.reason))
    if (signal?.aborted) return onAbort()
    if (stream.status !== 'open') return onClose()
    signal?.addEventListener('abort', onAbort, { once: true })
    stream.addEventListener('close', onClose)
    stream.addEventListener('message', onMessage)
  })
}

/**
 * Answers a request with records, each after its length as 4 bytes (big-endian), then a length of 0, and ends the stream.
 * What exceeds the limits is left out.
 */
export async function sendRecords(
  stream: Stream,
  records: readonly Uint8Array[],
  { signal }: AbortOptions = {},
): Promise<void> {
  const options = signal === undefined ? {} : { signal }
  try {
    await requested(stream, options)
    for (const frames of frameBatches(records)) {
      throwIfAborted(signal)
      if (!stream.send(frames)) await stream.onDrain(options)
    }
    await stream.close(options)
  } catch (error) {
    stream.abort(AoError.from(error))
    throw error
  }
}

/** The answer of a node that has no directory running. */
export const sendNoRecords = (stream: Stream): Promise<void> =>
  sendRecords(stream, [], { signal: AbortSignal.timeout(emptyAnswerMs) })

function* frameBatches(records: readonly Uint8Array[]): Generator<Uint8Array> {
  let sent = 4
  let batch: Uint8Array[] = []
  for (const record of records.slice(0, maxRecords)) {
    sent += 4 + record.length
    if (sent > maxAnswerBytes) break
    batch.push(u32(record.length), record)
    if (batch.length < 2 * batchRecords) continue
    yield concat(...batch)
    batch = []
  }
  yield concat(...batch, u32(0))
}

/**
 * Asks, reads the whole answer and ends the stream.
 *
 * @throws AoError `TOO_LARGE` | `INVALID_ARGUMENT` for an answer outside the limits, `PEER_UNREACHABLE` if it ends
 * early, `DEADLINE` | `ABORTED` by the signal.
 */
export function readRecords(stream: Stream, { signal }: AbortOptions = {}): Promise<readonly Uint8Array[]> {
  // By events, for the stream's own iterator never ends when the far end was closed before the first read.
  const answer = new Answer()
  return new Promise<readonly Uint8Array[]>((resolve, reject) => {
    const settle = (error: unknown): void => {
      stream.removeEventListener('message', onMessage)
      stream.removeEventListener('end', onEnd)
      stream.removeEventListener('close', onEnd)
      signal?.removeEventListener('abort', onAbort)
      if (error === undefined) {
        stream.close().catch(() => undefined) // all is read: how the stream ends does not matter
        resolve(answer.records)
      } else {
        stream.abort(AoError.from(error))
        reject(error)
      }
    }
    const onMessage = ({ data }: { data: { subarray(): Uint8Array } }): void => {
      try {
        if (answer.add(data.subarray())) settle(undefined)
      } catch (error) {
        settle(error)
      }
    }
    const onEnd = (): void => settle(new AoError('PEER_UNREACHABLE', 'the answer ended early'))
    const onAbort = (): void => settle(AoError.from(signal?.reason))
    if (signal?.aborted) return onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    // An end that came before these listeners is not told again.
    if (stream.readableEnded || stream.readStatus === 'closed') return onEnd()
    stream.addEventListener('end', onEnd)
    stream.addEventListener('close', onEnd)
    stream.addEventListener('message', onMessage)
    try {
      stream.send(request)
    } catch {
      onEnd()
    }
  })
}

/** Cuts an answer into records as its bytes arrive. */
class Answer {
  readonly records: Uint8Array[] = []
  #rest: Buffer = Buffer.alloc(0)
  #total = 0

  /** Whether the answer is complete. */
  add(bytes: Uint8Array): boolean {
    this.#total += bytes.length
    if (this.#total > maxAnswerBytes) throw tooMuch({ bytes: this.#total, limit: maxAnswerBytes })
    this.#rest = asBuffer(concat(this.#rest, bytes))
    let at = 0
    while (this.#rest.length - at >= 4) {
      const length = this.#rest.readUInt32BE(at)
      if (length === 0) return this.#end(at + 4)
      if (length > maxRecordBytes) throw tooMuch({ bytes: length, limit: maxRecordBytes })
      if (this.#rest.length - at < 4 + length) break
      if (this.records.length >= maxRecords) throw tooMuch({ limit: maxRecords })
      // A copy: a record that is kept must not keep the frames around it.
      this.records.push(Buffer.from(this.#rest.subarray(at + 4, at + 4 + length)))
      at += 4 + length
    }
    this.#rest = this.#rest.subarray(at)
    return false
  }

  #end(at: number): true {
    if (this.#rest.length > at) throw new AoError('INVALID_ARGUMENT', 'bytes follow the end of an answer')
    return true
  }
}

function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

const tooMuch = (facts: Record<string, number>): AoError =>
  new AoError('TOO_LARGE', 'a peer sent more unit records than allowed', facts)

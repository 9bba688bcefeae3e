import { AoError } from '../lib/errors.ts'
import type { StoredResult } from '../ports/result-store.ts'
import type { ResultBound } from '../ports/units.ts'
import { parseCronText } from '../protocol/cron.ts'
import { parseNonce } from '../protocol/ids.ts'

export type Sort = 'ASC' | 'DESC'

/** What a client passes as `from` or `to`. */
export interface ResultPlace {
  readonly bound: ResultBound
  /** The order that the page had whose cursor this is. */
  readonly sort?: Sort | undefined
}

/** Base64 of JSON, which clients do look into: the aos command line sorts by its `ordinate`, a nonce as text. */
export function cursorOf({ assignment, result }: Pick<StoredResult, 'assignment' | 'result'>, sort: Sort): string {
  const { nonce, cron } = result
  const place =
    cron === undefined
      ? { timestamp: assignment.timestamp, ordinate: String(nonce), cron: null, sort }
      : { timestamp: cron.timestamp, ordinate: String(nonce), cron: cron.id, blockHeight: cron.blockHeight, sort }
  return Buffer.from(JSON.stringify(place)).toString('base64')
}

/** A cursor, or a time in milliseconds. @throws AoError `INVALID_ARGUMENT` */
export function parsePlace(text: string, what: string): ResultPlace {
  if (/^[0-9]+$/.test(text)) return { bound: { timestamp: parseNonce(text, what) } }
  try {
    const { timestamp, ordinate, cron, blockHeight, sort } = fieldsOf(
      JSON.parse(Buffer.from(text, 'base64').toString()),
    )
    const bound =
      ordinate === undefined || ordinate === null
        ? { timestamp: parseNonce(timestamp, 'timestamp') }
        : typeof cron === 'string'
          ? { nonce: parseNonce(ordinate, 'ordinate'), cron: parseCronText(`${timestamp} ${blockHeight ?? 0} ${cron}`) }
          : { nonce: parseNonce(ordinate, 'ordinate') }
    return { bound, sort: sort === 'ASC' || sort === 'DESC' ? sort : undefined }
  } catch (cause) {
    throw new AoError(
      'INVALID_ARGUMENT',
      `${what} is neither a cursor nor a time`,
      { [what]: text.slice(0, 64) },
      { cause, hint: 'Pass the cursor of an edge as it was given, or milliseconds since the Unix epoch.' },
    )
  }
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  throw new TypeError('not an object')
}

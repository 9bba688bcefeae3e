import { toUtf8, utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import type { SettlingBundle } from '../ports/settlement.ts'
import type { Id } from '../protocol/ids.ts'
import { decoding } from './decoding.ts'
import { joinParts, splitParts } from './parts.ts'

/** @throws AoError `INVALID_ARGUMENT` unless the bundle begins right after the cursor: no position is left out or sent twice. */
export function assertNextBundle({ from, to }: SettlingBundle, cursor: number): void {
  if (from === cursor + 1 && to >= from) return
  throw new AoError('INVALID_ARGUMENT', 'the bundle does not follow the last one', { from, to, cursor })
}

/** @throws AoError `INVALID_ARGUMENT` unless a bundle of these positions was added. */
export function assertSameRange({ from, to }: SettlingBundle, stored: SettlingBundle | undefined): void {
  if (stored?.to === to) return
  throw new AoError('INVALID_ARGUMENT', 'no bundle of these positions was added', { from, to })
}

/** A settled bundle is on Arweave: nobody needs to post it again. */
export const withoutSpentPayload = (bundle: SettlingBundle): SettlingBundle =>
  bundle.state === 'settled' ? { ...bundle, tx: { id: bundle.tx.id, payload: new Uint8Array(0) } } : bundle

export function encodeBundleRow({ tx, ...rest }: SettlingBundle): Uint8Array {
  return joinParts(utf8(JSON.stringify({ ...rest, id: tx.id })), tx.payload)
}

/** Reads what `encodeBundleRow` wrote. */
export const decodeBundleRow = (bytes: Uint8Array): SettlingBundle =>
  decoding('settling', () => {
    const [header, payload] = splitParts(bytes, 2)
    const { id, ...rest } = JSON.parse(toUtf8(header)) as Omit<SettlingBundle, 'tx'> & { id: Id }
    return { ...rest, blockHeight: rest.blockHeight, tx: { id, payload } }
  })

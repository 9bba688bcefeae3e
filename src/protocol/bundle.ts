import { asBuffer, concat } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import type { DataItem } from './data-item.ts'
import { type Id, idFromBytes, idToBytes } from './ids.ts'

/** One entry of a bundle: the item's bytes, not yet verified, under the id that the bundle states for it. */
export interface BundleEntry {
  readonly id: Id
  readonly bytes: Uint8Array
}

export interface BundleLimits {
  readonly maxItems: number
}
const defaultLimits: BundleLimits = { maxItems: 100_000 }

/** Tags that mark a transaction or item whose data is a bundle. */
export const bundleTags = [
  { name: 'Bundle-Format', value: 'binary' },
  { name: 'Bundle-Version', value: '2.0.0' },
] as const

/** ANS-104 bundle of signed items, in the order given: count, (length, id) of each, then their bytes. */
export function packBundle(items: readonly Pick<DataItem, 'id' | 'raw'>[]): Uint8Array {
  const headers = items.flatMap(item => [u256(item.raw.length), idToBytes(item.id)])
  return concat(u256(items.length), ...headers, ...items.map(item => item.raw))
}

/**
 * Splits a bundle; the items are still unverified. Nested bundles are items whose data is a bundle again.
 *
 * @throws AoError `INVALID_DATA_ITEM` if the headers do not account for every byte.
 */
export function unpackBundle(bytes: Uint8Array, limits: BundleLimits = defaultLimits): readonly BundleEntry[] {
  const buffer = asBuffer(bytes)
  const count = readU256(buffer, 0)
  const headersEnd = 32 + count * 64
  if (count > limits.maxItems) throw invalid('the bundle has too many items', { count, limit: limits.maxItems })
  if (headersEnd > buffer.length) throw invalid('the bundle ends inside its headers', { count, bytes: buffer.length })
  const entries: BundleEntry[] = []
  let at = headersEnd
  for (let i = 0; i < count; i++) {
    const header = 32 + i * 64
    const length = readU256(buffer, header)
    if (length > buffer.length - at) throw invalid('the bundle ends inside an item', { index: i, length })
    const id = idFromBytes(buffer.subarray(header + 32, header + 64))
    entries.push({ id, bytes: buffer.subarray(at, at + length) })
    at += length
  }
  if (at !== buffer.length) throw invalid('the bundle has bytes after its last item', { extra: buffer.length - at })
  return entries
}

function u256(value: number): Uint8Array {
  const bytes = Buffer.alloc(32)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

function readU256(buffer: Buffer, at: number): number {
  if (at + 32 > buffer.length) throw invalid('the bundle ends inside a number', { at })
  const low = buffer.readBigUInt64LE(at)
  const high = buffer.subarray(at + 8, at + 32)
  if (low > 0xffff_ffffn || high.some(byte => byte !== 0))
    throw invalid('a number in the bundle is out of range', { at })
  return Number(low)
}

const invalid = (message: string, facts: Record<string, number>): AoError =>
  new AoError('INVALID_DATA_ITEM', message, facts, { hint: 'Send an ANS-104 bundle, version 2.0.0, format binary.' })

import { fromBase64Url, sha256 } from '../../lib/bytes.ts'
import { AoError } from '../../lib/errors.ts'
import { unpackBundle } from '../../protocol/bundle.ts'
import { type DataItem, verifyDataItemBy } from '../../protocol/data-item.ts'
import { type Address, type Id, idFromBytes, type ProcessId } from '../../protocol/ids.ts'
import { type ProcessSpec, parseAoItem } from '../../protocol/message.ts'
import { verifyPurely } from '../../protocol/pure-signatures.ts'
import { signatureKinds } from '../../protocol/signature-kinds.ts'
import { tagValues } from '../../protocol/tags.ts'

/** Of one item that a message brings: hashing it costs gas in proportion. */
export const maxItemBytes = 64 * 1024
/** Of all of them together, as base64url. */
const maxDataCharacters = 512 * 1024

/** Data that is a bundle of signed items, as base64url: a module reads text. @throws AoError `INVALID_ARGUMENT` */
export function itemsOf(data: string, maxItems: number): readonly Uint8Array[] {
  if (data.length > maxDataCharacters) throw new AoError('TOO_LARGE', 'Data is too large', { limit: maxDataCharacters })
  if (!/^[A-Za-z0-9_-]+$/.test(data)) throw new AoError('INVALID_ARGUMENT', 'Data is not base64url of a bundle')
  try {
    return unpackBundle(fromBase64Url(data), { maxItems }).map(({ bytes }) => bytes)
  } catch {
    throw new AoError('INVALID_ARGUMENT', 'Data is not a bundle of signed items', { maxItems })
  }
}

/** @throws AoError `INVALID_ARGUMENT` | `INVALID_DATA_ITEM` | `TOO_LARGE` unless it is signed with RSA or Ed25519. */
export function signedItem(bytes: Uint8Array): DataItem {
  if (!isReadable(bytes)) throw new AoError('INVALID_ARGUMENT', 'an item is signed with neither RSA nor Ed25519')
  return verifyDataItemBy(verifyPurely, bytes, { maxBytes: maxItemBytes })
}

/**
 * The id of an item that an SU shows. One signed in another way, and one that is larger than a message may bring and of
 * which the beginning is shown, is taken by its signature alone: this module cannot check it, and an honest SU must be
 * able to show what it ordered.
 */
export function shownId(bytes: Uint8Array): Id {
  if (isReadable(bytes) && bytes.length <= maxItemBytes) return signedItem(bytes).id
  const kind = signatureKinds[(bytes[0] ?? 0) + 256 * (bytes[1] ?? 0)]
  if (kind === undefined) throw new AoError('INVALID_ARGUMENT', 'an item is signed in an unknown way')
  return idFromBytes(sha256(bytes.subarray(2, 2 + kind.signatureBytes)))
}

/** The two kinds of signatures that are checked alike inside a module and outside. */
export const isReadable = (bytes: Uint8Array): boolean => (bytes[0] === 1 || bytes[0] === 2) && bytes[1] === 0

/** What a Process's own item says of who is to host it. */
export function processItem(bytes: Uint8Array): {
  readonly process: ProcessId
  readonly spec: ProcessSpec
  readonly fallbacks: readonly Address[]
} {
  const item = signedItem(bytes)
  const ao = parseAoItem(item)
  if (ao.type !== 'Process') throw new AoError('INVALID_ARGUMENT', 'the item is no Process')
  return { process: ao.process, spec: ao.spec, fallbacks: tagValues(item.tags, 'Fallback-Scheduler') as Address[] }
}

import { asBuffer, copyOf, equalBytes } from '../../lib/bytes.ts'
import { AoError } from '../../lib/errors.ts'
import { GossipEnvelope } from '../grpc/generated/ao/v1/gossip.ts'

/** Most items in one envelope: beyond that little is saved, and one judge is busy for long. */
export const maxGossipItems = 64

/** Wraps signed ANS-104 bytes for the gossip wire. The only file here that sees generated code. */
export const encodeEnvelope = (items: readonly Uint8Array[]): Uint8Array =>
  GossipEnvelope.encode({ items: [...items] }).finish()

/**
 * The signed bytes of an envelope, each in memory of its own.
 *
 * Invariant: the same items have one envelope. Without that, a stranger could send them under any number of message ids
 * by adding fields that nobody reads.
 *
 * @throws AoError `INVALID_DATA_ITEM` unless it is exactly what `encodeEnvelope` makes.
 */
export function decodeEnvelope(bytes: Uint8Array): readonly Uint8Array[] {
  const items = readItems(bytes)
  const isOdd = items.length === 0 || items.length > maxGossipItems || items.some(({ length }) => length === 0)
  if (isOdd || !equalBytes(encodeEnvelope(items), bytes)) {
    throw new AoError('INVALID_DATA_ITEM', 'not a gossip envelope', { bytes: bytes.length })
  }
  return items.map(copyOf)
}

function readItems(bytes: Uint8Array): readonly Uint8Array[] {
  try {
    return GossipEnvelope.decode(asBuffer(bytes)).items
  } catch (cause) {
    throw new AoError('INVALID_DATA_ITEM', 'not a gossip envelope', { bytes: bytes.length }, { cause })
  }
}

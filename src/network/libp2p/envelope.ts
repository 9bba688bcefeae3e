import { asBuffer, copyOf, equalBytes } from '../../lib/bytes.ts'
import { AoError } from '../../lib/errors.ts'
import { GossipEnvelope } from '../grpc/generated/ao/v1/gossip.ts'

/** Wraps signed ANS-104 bytes for the gossip wire. The only file here that sees generated code. */
export const encodeEnvelope = (item: Uint8Array): Uint8Array => GossipEnvelope.encode({ item }).finish()

/**
 * The signed bytes of an envelope, in memory of their own.
 *
 * Invariant: one item has one envelope. Without that, a stranger could send the same item under any number of
 * message ids by adding fields that nobody reads.
 *
 * @throws AoError `INVALID_DATA_ITEM` unless it is exactly what `encodeEnvelope` makes.
 */
export function decodeEnvelope(bytes: Uint8Array): Uint8Array {
  const item = readItem(bytes)
  if (item.length === 0 || !equalBytes(encodeEnvelope(item), bytes)) {
    throw new AoError('INVALID_DATA_ITEM', 'not a gossip envelope', { bytes: bytes.length })
  }
  return copyOf(item)
}

function readItem(bytes: Uint8Array): Uint8Array {
  try {
    return GossipEnvelope.decode(asBuffer(bytes)).item
  } catch (cause) {
    throw new AoError('INVALID_DATA_ITEM', 'not a gossip envelope', { bytes: bytes.length }, { cause })
  }
}

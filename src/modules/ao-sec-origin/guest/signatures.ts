// In place of `src/protocol/signatures.ts`; as guest/buffer.ts.
import { AoError } from '../../../lib/errors.ts'
import { type Address, addressOfKey } from '../../../protocol/ids.ts'
import { verifyPurely } from '../../../protocol/pure-signatures.ts'
import type { SignatureType } from '../../../protocol/signature-kinds.ts'

export const verifySignature = verifyPurely

export const verifySignatureAside = async (...given: Parameters<typeof verifyPurely>): Promise<boolean> =>
  verifyPurely(...given)

/** As there, for the kinds whose form matters here. */
export function ownerFault(type: SignatureType, ownerKey: Uint8Array): string | undefined {
  if (type !== 1) return undefined
  const [first = 0, last = 0] = [ownerKey[0], ownerKey[ownerKey.length - 1]]
  return first >= 0x80 && last % 2 === 1 ? undefined : 'the owner is not a 4096-bit RSA modulus'
}

/** Ethereum's addresses are no hash of the whole key: nobody here asks for one. */
export function addressOf(type: SignatureType, ownerKey: Uint8Array): Address {
  if (type === 3 || type === 7) throw new AoError('INVALID_DATA_ITEM', 'Ethereum signatures are not read here')
  return addressOfKey(ownerKey)
}

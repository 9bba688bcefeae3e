import { X509Certificate } from 'node:crypto'
import { type ChannelCredentials, credentials } from '@grpc/grpc-js'
import { equalBytes } from '../../lib/bytes.ts'
import { AoError } from '../../lib/errors.ts'
import type { Certificate } from './certificate.ts'

/**
 * TLS that trusts this one certificate (DER) and no authority: neither another certificate nor one signed by it will do.
 *
 * @param own What to show the other side, if it is to know who calls.
 * @throws AoError `INVALID_RECORD` if the bytes are no certificate.
 */
export function pinnedCredentials(certificate: Uint8Array, own?: Certificate): ChannelCredentials {
  try {
    const pem = new X509Certificate(certificate).toString() // throws for garbage, which createSsl would let pass
    const [key, chain] = own === undefined ? [null, null] : [Buffer.from(own.keyPem), Buffer.from(own.certPem)]
    return credentials.createSsl(Buffer.from(pem), key, chain, {
      checkServerIdentity: (_host, shown) =>
        equalBytes(shown.raw, certificate)
          ? undefined
          : new Error('the node shows another certificate than its record'),
    })
  } catch (cause) {
    throw new AoError('INVALID_RECORD', 'the unit record carries no usable certificate', {}, { cause })
  }
}

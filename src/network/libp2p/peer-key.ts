import '../../lib/polyfill.ts'
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import { privateKeyFromRaw, publicKeyFromRaw } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import { concat, fromBase64Url, toBase64Url, utf8 } from '../../lib/bytes.ts'
import { AoError } from '../../lib/errors.ts'
import type { PrivateJwk } from '../../protocol/keys.ts'

/**
 * The unit key as libp2p wants it: the same Ed25519 key signs ANS-104 items and names the peer.
 *
 * @throws AoError `INVALID_ARGUMENT` unless the JWK is a private Ed25519 key.
 */
export function libp2pKeyOf(jwk: PrivateJwk): PrivateKey {
  try {
    const key = createPrivateKey({ key: jwk as Record<string, string>, format: 'jwk' })
    if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('not an Ed25519 key')
    // The public half is derived anew: an `x` in the file that is not d's would give a PeerId nobody can prove.
    const seed = key.export({ format: 'jwk' }).d
    const point = createPublicKey(key).export({ format: 'jwk' }).x
    return privateKeyFromRaw(concat(fromBase64Url(String(seed)), fromBase64Url(String(point))))
  } catch (cause) {
    throw new AoError(
      'INVALID_ARGUMENT',
      'the peer key is not a private Ed25519 key',
      { kty: String(jwk['kty']) },
      { cause, hint: 'Make a node key with "aonet init", or give a JWK of type OKP with curve Ed25519.' },
    )
  }
}

/** The libp2p PeerId of a unit key. @throws AoError `INVALID_ARGUMENT` unless it is a private Ed25519 key. */
export const peerIdOf = (jwk: PrivateJwk): string => peerIdFromPrivateKey(libp2pKeyOf(jwk)).toString()

/** The libp2p PeerId of an Ed25519 public key of 32 bytes, as it stands in a data item. */
export const peerIdOfPublicKey = (ownerKey: Uint8Array): string =>
  peerIdFromPublicKey(publicKeyFromRaw(ownerKey)).toString()

/** A peer key's signature over a text, in base64url. */
export function signAsPeer(jwk: PrivateJwk, text: string): string {
  const key = createPrivateKey({ key: jwk as Record<string, string>, format: 'jwk' })
  return toBase64Url(sign(null, utf8(text), key))
}

/** Whether the key that the PeerId stands for signed the text. False for a PeerId that is no Ed25519 key. */
export function isSignedByPeer(peer: string, text: string, signature: string): boolean {
  try {
    const { publicKey } = peerIdFromString(peer)
    if (publicKey?.type !== 'Ed25519') return false
    const x = toBase64Url(publicKey.raw)
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
    return verify(null, utf8(text), key, fromBase64Url(signature))
  } catch {
    return false
  }
}

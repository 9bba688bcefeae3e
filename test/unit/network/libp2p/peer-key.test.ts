import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { toBase64Url } from '../../../../src/lib/bytes.ts'
import { libp2pKeyOf, peerIdOf, peerIdOfPublicKey } from '../../../../src/network/libp2p/peer-key.ts'
import { addressOfKey } from '../../../../src/protocol/ids.ts'
import { type PrivateJwk, signerFromJwk } from '../../../../src/protocol/keys.ts'
import { testJwk } from '../../../support/builders.ts'

describe('network/libp2p/peer-key', () => {
  it('gives the PeerId that libp2p gives for the key of RFC 8032, test 1', () => {
    // PeerId: multihash "identity" (00 24) of the protobuf (08 01 12 20 ‖ key), base58btc. Computed from the specification.
    const jwk = {
      kty: 'OKP',
      crv: 'Ed25519',
      d: toBase64Url(Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex')),
      x: toBase64Url(Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex')),
    }
    const spec = base58(Buffer.from(`002408011220${Buffer.from(jwk.x, 'base64url').toString('hex')}`, 'hex'))
    assert.equal(peerIdOf(jwk), spec)
  })

  it('derives the AO address and the PeerId from the same public key', async () => {
    const jwk = testJwk('unit')
    const key = libp2pKeyOf(jwk).publicKey.raw
    assert.equal(signerFromJwk(jwk).address, addressOfKey(key))
    assert.equal(peerIdOf(jwk), peerIdOfPublicKey(key))
    const item = await signerFromJwk(jwk).sign({ tags: [], data: new Uint8Array(0) })
    assert.equal(peerIdOfPublicKey(item.ownerKey), peerIdOf(jwk), 'what stands in a signed item names the peer')
  })

  it('signs what the same key verifies', async () => {
    const key = libp2pKeyOf(testJwk('unit'))
    const signature = await key.sign(Buffer.from('hello'))
    assert.equal(await libp2pKeyOf(testJwk('unit')).publicKey.verify(Buffer.from('hello'), signature), true)
    assert.equal(await libp2pKeyOf(testJwk('other')).publicKey.verify(Buffer.from('hello'), signature), false)
  })

  it('refuses keys that cannot name a peer', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }) as PrivateJwk
    assert.throws(() => peerIdOf(rsa), { code: 'INVALID_ARGUMENT' })
    assert.throws(() => peerIdOf({ kty: 'OKP', crv: 'Ed25519', x: 'AA' }), { code: 'INVALID_ARGUMENT' })
    assert.throws(() => peerIdOf({}), { code: 'INVALID_ARGUMENT' })
  })
})

function base58(bytes: Uint8Array): string {
  const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
  let number = BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
  let text = ''
  for (; number > 0n; number /= 58n) text = (alphabet[Number(number % 58n)] ?? '') + text
  for (const byte of bytes) {
    if (byte !== 0) break
    text = `1${text}`
  }
  return text
}

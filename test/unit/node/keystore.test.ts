import assert from 'node:assert/strict'
import { toBase64Url } from '../../../src/lib/bytes.ts'
import { isKeystore, seal, unseal } from '../../../src/node/keystore.ts'
import { testJwk, testSigner } from '../../support/builders.ts'

describe('node/keystore', () => {
  const jwk = testJwk('keystore')
  const kept = seal(jwk, 'correct horse battery staple')

  it('gives the key back for its passphrase, however the passphrase is spelled in Unicode', () => {
    assert.ok(isKeystore(kept))
    assert.equal(kept.address, testSigner('keystore').address)
    assert.deepEqual(unseal(kept, 'correct horse battery staple'), jwk)
    const composed = seal(jwk, 'caf\u00e9')
    assert.deepEqual(unseal(composed, 'cafe\u0301'), jwk)
  })

  it('shows nothing of the key, and never two files that are alike', () => {
    assert.ok(!JSON.stringify(kept).includes(String(jwk['d'])))
    assert.notEqual(seal(jwk, 'x').ciphertext, seal(jwk, 'x').ciphertext)
  })

  it('does not tell a wrong passphrase from a changed file', () => {
    const changed = { ...kept, cipher: { ...kept.cipher, tag: toBase64Url(new Uint8Array(16)) } }
    const short = { ...kept, cipher: { ...kept.cipher, tag: kept.cipher.tag.slice(0, 6) } }
    for (const [file, passphrase] of [
      [kept, 'wrong'],
      [changed, 'correct horse battery staple'],
      [short, 'correct horse battery staple'],
    ] as const) {
      assert.throws(() => unseal(file, passphrase), { code: 'UNAUTHENTICATED' })
    }
  })

  it('refuses what would cost more than a key ever should, and other kinds of file', () => {
    for (const kdf of [{ n: 2 ** 24 }, { r: 1_000 }, { p: 1_000_000 }, { n: 1.5 }, { name: 'md5' }]) {
      assert.throws(() => unseal({ ...kept, kdf: { ...kept.kdf, ...kdf } } as never, 'x'), { code: 'INVALID_CONFIG' })
    }
    assert.throws(() => unseal({ ...kept, version: 2 } as never, 'x'), { code: 'INVALID_CONFIG' })
    assert.throws(() => seal(jwk, ''), { code: 'INVALID_ARGUMENT' })
  })
})

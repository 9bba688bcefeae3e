import assert from 'node:assert/strict'
import { isUtf8 as nodeIsUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { GuestBuffer, isUtf8 } from '../../../src/modules/ao-sec-origin/guest/buffer.ts'
import { createHash as guestHash, hash } from '../../../src/modules/ao-sec-origin/guest/crypto.ts'
import { parseStoredItem, signedDigest } from '../../../src/protocol/data-item.ts'
import { verifyPurely } from '../../../src/protocol/pure-signatures.ts'
import { verifySignature } from '../../../src/protocol/signatures.ts'
import { itemVectors } from '../../support/vectors.ts'

const bytes = fc.uint8Array({ maxLength: 80 })
const plain = (buffer: Uint8Array): number[] => Array.from(buffer)

describe('what stands for Node inside the bundle of AO-Sec Origin', () => {
  it('reads and writes bytes as Node’s Buffer does', () => {
    fc.assert(
      fc.property(bytes, fc.string({ unit: 'binary' }), (some, text) => {
        const [ours, nodes] = [GuestBuffer.from(some), Buffer.from(some)]
        for (const encoding of ['hex', 'base64url', 'latin1'] as const) {
          assert.equal(ours.toString(encoding), nodes.toString(encoding))
          assert.deepEqual(plain(GuestBuffer.from(nodes.toString(encoding), encoding)), plain(nodes))
          const [oursInto, nodesInto] = [GuestBuffer.alloc(90), Buffer.alloc(90)]
          const written = oursInto.write(nodes.toString(encoding), 3, encoding)
          assert.equal(written, nodesInto.write(nodes.toString(encoding), 3, encoding))
          assert.deepEqual(plain(oursInto), plain(nodesInto))
        }
        assert.deepEqual(plain(GuestBuffer.from(text)), plain(Buffer.from(text)))
        assert.equal(isUtf8(some), nodeIsUtf8(some))
        if (isUtf8(some)) assert.equal(ours.toString(), nodes.toString())
        assert.deepEqual(plain(GuestBuffer.concat([some, ours])), plain(Buffer.concat([some, nodes])))
        if (some.length >= 8) assert.equal(ours.readBigUInt64LE(), nodes.readBigUInt64LE())
        if (some.length >= 2) assert.equal(ours.readUInt16LE(), nodes.readUInt16LE())
      }),
      { numRuns: 300 },
    )
  })

  it('takes and refuses the same UTF-8', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(0, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5), {
          maxLength: 6,
        }),
        some => {
          assert.equal(isUtf8(Uint8Array.from(some)), nodeIsUtf8(Uint8Array.from(some)), String(some))
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('hashes as node:crypto does', () => {
    for (const algorithm of ['sha256', 'sha384'] as const) {
      const ours = guestHash(algorithm)
      for (const part of ['a', 'bc']) ours.update(Buffer.from(part))
      assert.deepEqual(plain(ours.digest()), plain(createHash(algorithm).update('abc').digest()))
      const nodes = createHash(algorithm).update('abc').digest()
      assert.deepEqual(plain(hash(algorithm, Buffer.from('abc'), 'buffer') as GuestBuffer), plain(nodes))
      assert.equal(hash(algorithm, Buffer.from('abc'), 'binary'), nodes.toString('binary'))
      assert.equal(hash(algorithm, Buffer.from('abc'), 'base64url'), nodes.toString('base64url'))
    }
  })

  it('takes the signatures that OpenSSL takes, of arbundles’ items, and none that was changed', () => {
    let checked = 0
    for (const vector of itemVectors()) {
      const item = parseStoredItem(Buffer.from(vector.raw, 'base64'))
      const { signatureType: type, ownerKey, signature } = item
      if (type > 2) continue
      checked++
      const digest = signedDigest(item)
      assert.equal(verifyPurely(type, ownerKey, digest, signature), true, vector.name)
      for (const at of [0, 31, signature.length - 1]) {
        const changed = Uint8Array.from(signature)
        changed[at] = (changed[at] ?? 0) ^ 1
        assert.equal(verifyPurely(type, ownerKey, digest, changed), verifySignature(type, ownerKey, digest, changed))
        assert.equal(verifyPurely(type, ownerKey, digest, changed), false, `${vector.name}, byte ${at}`)
      }
    }
    assert.ok(checked >= 4, `${checked} items`)
  })
})

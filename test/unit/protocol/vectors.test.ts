import assert from 'node:assert/strict'
import { fromBase64Url, toBase64Url, toHex, utf8 } from '../../../src/lib/bytes.ts'
import { packBundle, unpackBundle } from '../../../src/protocol/bundle.ts'
import { signedDigest, verifyDataItem } from '../../../src/protocol/data-item.ts'
import { deepHash } from '../../../src/protocol/deep-hash.ts'
import { addressOfKey } from '../../../src/protocol/ids.ts'
import { verifySignature } from '../../../src/protocol/signatures.ts'
import { itemVectors, loadVectors } from '../../support/vectors.ts'

describe('protocol: vectors made by arbundles, arweave-js and ethers', () => {
  for (const vector of itemVectors()) {
    it(`reads and verifies the item "${vector.name}"`, async () => {
      const item = await verifyDataItem(Buffer.from(vector.raw, 'base64'))
      assert.equal(item.id, vector.id)
      assert.equal(item.signatureType, vector.signatureType)
      assert.equal(toBase64Url(item.ownerKey), vector.ownerKey)
      assert.equal(item.owner, vector.address ?? addressOfKey(item.ownerKey))
      assert.equal(item.target ?? '', vector.target)
      assert.equal(toBase64Url(item.anchor), vector.anchor)
      assert.deepEqual(item.tags, vector.tags)
      assert.equal(toBase64Url(item.data), vector.data)
      assert.equal(toHex(signedDigest(item)), vector.signedDigest)
    })
  }

  it('splits a bundle into the items it names, and packs the same bytes again', async () => {
    const vector = loadVectors('bundle.json') as { bundle: string; ids: readonly string[] }
    const bytes = Buffer.from(vector.bundle, 'base64')
    const entries = unpackBundle(bytes)
    assert.deepEqual(
      entries.map(entry => entry.id),
      vector.ids,
    )
    const items = await Promise.all(entries.map(entry => verifyDataItem(entry.bytes)))
    assert.deepEqual(
      items.map(item => item.id),
      vector.ids,
    )
    assert.deepEqual(Buffer.from(packBundle(items)), bytes)
  })

  const hashes = loadVectors('hashes.json') as {
    deepHash: readonly { list: readonly string[]; hash: string; sameByArbundles: string }[]
    rsa: readonly { saltLength: string | number; ownerKey: string; message: string; signature: string }[]
  }

  it('hashes lists as arweave-js and arbundles do', () => {
    for (const { list, hash, sameByArbundles } of hashes.deepHash) {
      assert.equal(hash, sameByArbundles, 'the vectors agree')
      assert.equal(toHex(deepHash(list.map(utf8))), hash, `a list of ${list.length}`)
    }
  })

  for (const { saltLength, ownerKey, message, signature } of hashes.rsa) {
    it(`takes an RSA signature of arweave-js with salt length ${saltLength}`, () => {
      const bytes = Buffer.from(signature, 'base64')
      assert.equal(verifySignature(1, fromBase64Url(ownerKey), Buffer.from(message, 'hex'), bytes), true)
      bytes[100] = (bytes[100] ?? 0) ^ 1
      assert.equal(verifySignature(1, fromBase64Url(ownerKey), Buffer.from(message, 'hex'), bytes), false)
    })
  }

  it('knows a typed Ethereum owner and its key as one address', () => {
    const address = (name: string): string | undefined => itemVectors().find(item => item.name === name)?.address
    assert.equal(address('ethereum, bare'), address('typed-ethereum, bare'))
    assert.match(address('ethereum, bare') ?? '', /^0x[0-9a-fA-F]{40}$/)
  })
})

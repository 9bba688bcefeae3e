import assert from 'node:assert/strict'
import fc from 'fast-check'
import { utf8 } from '../../../src/lib/bytes.ts'
import { AoError } from '../../../src/lib/errors.ts'
import { parseStoredItem, verifyDataItem } from '../../../src/protocol/data-item.ts'
import type { Address } from '../../../src/protocol/ids.ts'
import { generateKey, signerFromJwk } from '../../../src/protocol/keys.ts'
import { anId, anItem, testSigner } from '../../support/builders.ts'
import { vectorBytes } from '../../support/vectors.ts'

const tagText = fc.string({ unit: 'grapheme', maxLength: 20 })
const draft = fc.record({
  target: fc.option(fc.constant(anId<never>('target')), { nil: undefined }),
  anchor: fc.option(fc.constant('0123456789abcdef0123456789abcdef'), { nil: undefined }),
  tags: fc.array(fc.record({ name: tagText, value: tagText }, { noNullPrototype: true }), { maxLength: 20 }),
  data: fc.uint8Array({ maxLength: 300 }),
})

describe('protocol/data-item', () => {
  it('gives back every draft that was signed, and the same id for the same draft', async () => {
    const signer = testSigner('round trip')
    await fc.assert(
      fc.asyncProperty(draft, async fields => {
        const made = await signer.sign(fields)
        const read = await verifyDataItem(made.raw)
        assert.deepEqual(read.tags, fields.tags)
        assert.equal(read.target, fields.target)
        assert.equal(Buffer.from(read.anchor).toString(), fields.anchor ?? '')
        assert.ok(Buffer.from(read.data).equals(fields.data))
        assert.equal(read.owner, signer.address)
        assert.equal(read.id, made.id)
        assert.equal((await signer.sign(fields)).id, made.id)
        assert.equal(parseStoredItem(made.raw).id, made.id)
      }),
      { numRuns: 60 },
    )
  })

  it('signs with RSA deterministically, so a restarted unit gives the same ids', async () => {
    const signer = signerFromJwk(generateKey('rsa'))
    const [a, b] = [await anItem({ data: utf8('x') }, signer), await anItem({ data: utf8('x') }, signer)]
    assert.equal(a.id, b.id)
    assert.equal((await verifyDataItem(a.raw)).owner, signer.address)
  }).timeout(60_000)

  it('refuses every change of a single byte, at every place', async () => {
    const { raw } = await anItem({ target: anId<never>(), tags: [{ name: 'a', value: 'b' }], data: utf8('data') })
    for (let at = 0; at < raw.length; at++) {
      const bytes = Buffer.from(raw)
      bytes[at] = (bytes[at] ?? 0) ^ 0x01
      await assert.rejects(verifyDataItem(bytes), { code: 'INVALID_DATA_ITEM' }, `byte ${at}`)
    }
  })

  it('refuses every beginning of an item but the whole', async () => {
    const { raw } = await anItem({ tags: [{ name: 'a', value: 'b' }], data: utf8('data') })
    for (let length = 0; length < raw.length; length++) {
      await assert.rejects(verifyDataItem(raw.subarray(0, length)), { code: 'INVALID_DATA_ITEM' }, `${length} bytes`)
    }
  })

  it('answers any bytes with an AoError, quickly', async () => {
    const type = fc.integer({ min: 0, max: 8 })
    await fc.assert(
      fc.asyncProperty(type, fc.uint8Array({ maxLength: 1500 }), async (signatureType, rest) => {
        const bytes = Buffer.concat([Buffer.of(signatureType, 0), rest])
        await assert.rejects(verifyDataItem(bytes), (error: unknown) => error instanceof AoError)
      }),
      { numRuns: 500 },
    )
  })

  it('says TOO_LARGE before it looks at anything else', async () => {
    await assert.rejects(verifyDataItem(new Uint8Array(101), { maxBytes: 100 }), { code: 'TOO_LARGE' })
    await assert.rejects(verifyDataItem(Buffer.alloc(10 * 1024 * 1024 + 1)), { code: 'TOO_LARGE' })
  })

  it('allocates nothing for stated sizes that are not there', async () => {
    const bytes = vectorBytes('ed25519, bare')
    const tagCountAt = 2 + 64 + 32 + 2
    for (const [count, length] of [
      [1n, 2n ** 63n],
      [2n ** 63n, 0n],
      [2n ** 53n, 4n],
      [128n, 4096n],
      [0xffff_ffffn, 4097n],
    ] as const) {
      bytes.writeBigUInt64LE(count, tagCountAt)
      bytes.writeBigUInt64LE(length, tagCountAt + 8)
      const before = process.memoryUsage().arrayBuffers
      await assert.rejects(verifyDataItem(bytes), { code: 'INVALID_DATA_ITEM' }, `${count} tags of ${length} bytes`)
      assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000)
    }
  })

  it('refuses to sign anchors and targets that no item can hold', async () => {
    await assert.rejects(anItem({ anchor: 'short' }), { code: 'INVALID_ARGUMENT' })
    await assert.rejects(anItem({ target: '0x52908400098527886E0F7030069857D2E4169EE7' as Address }), {
      code: 'INVALID_ARGUMENT',
    })
  })

  it('shows half a character in a tag as the bytes have it: U+FFFD', async () => {
    const made = await anItem({ tags: [{ name: 'a', value: 'x\ud800' }] })
    assert.deepEqual(made.tags, [{ name: 'a', value: 'x\ufffd' }])
    assert.deepEqual((await verifyDataItem(made.raw)).tags, made.tags)
  })
})

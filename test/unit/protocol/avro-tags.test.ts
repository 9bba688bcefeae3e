import assert from 'node:assert/strict'
import { deserializeTags, serializeTags } from 'arbundles'
import fc from 'fast-check'
import { AoError } from '../../../src/lib/errors.ts'
import { decodeTags, encodeTags } from '../../../src/protocol/avro-tags.ts'

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc.constantFrom('', '\ufeff', '\u0000', 'x'.repeat(63), 'x'.repeat(64), 'é'.repeat(64), '😀'),
)
const tags = fc.array(fc.record({ name: text, value: text }, { noNullPrototype: true }), { maxLength: 12 })

describe('protocol/avro-tags', () => {
  it('gives back all tags in their order, and writes and reads as arbundles does', () => {
    fc.assert(
      fc.property(tags, list => {
        const bytes = encodeTags(list)
        assert.deepEqual(decodeTags(bytes, list.length), list)
        assert.deepEqual(Buffer.from(bytes), Buffer.from(serializeTags(list)))
        if (list.length > 0) assert.deepEqual(deserializeTags(Buffer.from(bytes)), list)
      }),
    )
  })

  it('reads only bytes that it would write', () => {
    fc.assert(
      fc.property(tags, fc.nat(), fc.nat(255), (list, place, byte) => {
        const bytes = Buffer.from(encodeTags(list))
        if (bytes.length === 0) return
        bytes[place % bytes.length] = byte
        try {
          const read = decodeTags(bytes, list.length)
          assert.deepEqual(Buffer.from(encodeTags(read)), bytes)
        } catch (error) {
          assert.ok(error instanceof AoError && error.code === 'INVALID_DATA_ITEM', String(error))
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('holds 128 tags and 4096 bytes, and not one more', () => {
    const many = (count: number) => Array.from({ length: count }, () => ({ name: 'n', value: 'v' }))
    assert.equal(decodeTags(encodeTags(many(128)), 128).length, 128)
    assert.throws(() => encodeTags(many(129)), { code: 'INVALID_DATA_ITEM' })
    // 4 bytes of count, lengths and end mark, and 2 for the length of a long value.
    const largest = [{ name: 'n', value: 'v'.repeat(4096 - 6) }]
    assert.equal(encodeTags(largest).length, 4096)
    assert.throws(() => encodeTags([{ name: 'n', value: 'v'.repeat(4096 - 5) }]), { code: 'INVALID_DATA_ITEM' })
  })
})

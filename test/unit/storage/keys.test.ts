import assert from 'node:assert/strict'
import fc from 'fast-check'
import { AoError } from '../../../src/lib/errors.ts'
import { fromU64, KeySpace, u64 } from '../../../src/storage/keys.ts'
import { joinParts, splitParts } from '../../../src/storage/parts.ts'

describe('storage/keys', () => {
  it('sorts numbers as bytes in their own order, up to the last safe one', () => {
    const number = fc.oneof(fc.integer({ min: 0, max: 70_000 }), fc.maxSafeNat())
    fc.assert(
      fc.property(number, number, (a, b) => {
        assert.equal(fromU64(u64(a)), a)
        assert.equal(Math.sign(Buffer.compare(u64(a), u64(b))), Math.sign(a - b))
      }),
    )
  })

  it('has in a range all keys that begin with its parts, and no others', () => {
    const part = fc.uint8Array({ minLength: 2, maxLength: 2 }).map(bytes => Buffer.from(bytes))
    const edge = fc.oneof(part, fc.constant(Buffer.from([0xff, 0xff])), fc.constant(Buffer.from([0, 0])))
    fc.assert(
      fc.property(edge, edge, edge, (wanted, other, rest) => {
        const space = new KeySpace('table')
        const { gte, lt } = space.range(wanted)
        const key = space.key(other, rest)
        const inside = Buffer.compare(key, gte) >= 0 && Buffer.compare(key, lt) < 0
        assert.equal(inside, wanted.equals(other))
      }),
    )
  })

  it('keeps tables apart even when the name of one begins the name of the other', () => {
    const { gte, lt } = new KeySpace('log').range()
    for (const name of ['log-nonce', 'loga', 'lo']) {
      const key = new KeySpace(name).key(u64(1))
      assert.ok(Buffer.compare(key, gte) < 0 || Buffer.compare(key, lt) >= 0, name)
    }
  })
})

describe('storage/parts', () => {
  it('gives parts back as they were joined', () => {
    const bytes = fc.uint8Array({ maxLength: 40 })
    fc.assert(
      fc.property(bytes, bytes, bytes, (a, b, c) => {
        assert.deepEqual(
          splitParts(joinParts(a, b, c), 3).map(part => Buffer.from(part)),
          [a, b, c].map(part => Buffer.from(part)),
        )
      }),
    )
  })

  it('says STORE_CORRUPT for a row that is cut before its last part', () => {
    const row = joinParts(new Uint8Array(5), new Uint8Array(7))
    for (let length = 0; length < 9; length++) {
      assert.throws(
        () => splitParts(row.subarray(0, length), 2),
        (error: unknown) => error instanceof AoError && error.code === 'STORE_CORRUPT',
        `${length} bytes`,
      )
    }
  })
})

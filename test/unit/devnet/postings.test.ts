import assert from 'node:assert/strict'
import fc from 'fast-check'
import { intersectionOf, type SeqStream, unionOf } from '../../../src/devnet/postings.ts'

/** A posting list in memory, as strict as the one on disk: it never goes back. */
function streamOf(list: readonly number[], descending: boolean): SeqStream {
  const sorted = [...new Set(list)].sort((a, b) => (descending ? b - a : a - b))
  let at = 0
  return {
    async advance(to) {
      while (at < sorted.length && (descending ? (sorted[at] ?? 0) > to : (sorted[at] ?? 0) < to)) at++
      return sorted[at]
    },
    close: async () => undefined,
  }
}

async function all(stream: SeqStream, descending: boolean): Promise<number[]> {
  const found: number[] = []
  for (let next: number | undefined = descending ? 100 : 0; next !== undefined; ) {
    const seq = await stream.advance(next)
    if (seq !== undefined) found.push(seq)
    next = seq === undefined ? undefined : seq + (descending ? -1 : 1)
  }
  return found
}

const list = fc.array(fc.nat(40), { maxLength: 40 })
const lists = fc.array(list, { minLength: 1, maxLength: 4 })
const inOrder = (seqs: Iterable<number>, descending: boolean): number[] =>
  [...seqs].sort((a, b) => (descending ? b - a : a - b))

describe('devnet/postings', () => {
  it('gives exactly what is in every list, in order, either way', () =>
    fc.assert(
      fc.asyncProperty(lists, fc.boolean(), async (some, descending) => {
        const found = await all(intersectionOf(some.map(each => streamOf(each, descending))), descending)
        const expected = new Set((some[0] ?? []).filter(seq => some.every(each => each.includes(seq))))
        assert.deepEqual(found, inOrder(expected, descending))
      }),
    ))

  it('gives exactly what is in any list, in order, either way', () =>
    fc.assert(
      fc.asyncProperty(lists, fc.boolean(), async (some, descending) => {
        const found = await all(
          unionOf(
            some.map(each => streamOf(each, descending)),
            descending,
          ),
          descending,
        )
        assert.deepEqual(found, inOrder(new Set(some.flat()), descending))
      }),
    ))
})

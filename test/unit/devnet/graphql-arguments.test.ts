import assert from 'node:assert/strict'
import { blockSearch, edgesOf, transactionSearch } from '../../../src/devnet/graphql-arguments.ts'

const cursorOf = (place: number): string => edgesOf([place], false, n => n).edges[0]?.cursor ?? ''

describe('devnet/graphql-arguments', () => {
  it('reads missing, null and empty filters as no filter, newest first', () => {
    const none = { ids: [], owners: [], recipients: [], bundledIn: [], tags: [], limit: 10, descending: true }
    const bounds = { minHeight: undefined, maxHeight: undefined, after: undefined }
    assert.deepEqual(transactionSearch({}), { ...none, ...bounds })
    const nulls = { ids: null, owners: [], tags: null, block: { min: null }, first: null, after: '', sort: null }
    assert.deepEqual(transactionSearch(nulls), { ...none, ...bounds })
  })

  it('cuts pages to 1000 and refuses pages of none', () => {
    assert.equal(transactionSearch({ first: 5000 }).limit, 1000)
    assert.throws(() => transactionSearch({ first: 0 }), { code: 'INVALID_ARGUMENT' })
  })

  it('takes its own cursors back and no others', () => {
    for (const place of [0, 1, 123456, Number.MAX_SAFE_INTEGER])
      assert.equal(transactionSearch({ after: cursorOf(place) }).after, place)
    for (const after of [
      'x',
      'cC0x',
      `${cursorOf(1)}=`,
      cursorOf(1).slice(1),
      Buffer.from('p01').toString('base64url'),
    ])
      assert.throws(() => transactionSearch({ after }), { code: 'INVALID_ARGUMENT' }, after)
  })

  it('goes on from a cursor in the direction of the order, and never past the newest block', () => {
    const after = cursorOf(50)
    const range = (search: ReturnType<typeof blockSearch>) => [search.from, search.to]
    assert.deepEqual(range(blockSearch({ sort: 'HEIGHT_ASC', after }, 100)), [51, 100])
    assert.deepEqual(range(blockSearch({ sort: 'HEIGHT_DESC', after }, 100)), [0, 49])
    assert.deepEqual(range(blockSearch({ height: { min: 90, max: 999 } }, 100)), [90, 100])
  })

  it('bounds how much one query may name', () => {
    const many = Array.from({ length: 1001 }, String)
    for (const args of [{ ids: many }, { owners: many }, { tags: [{ name: 'a', values: many }] }])
      assert.throws(() => transactionSearch(args), { code: 'INVALID_ARGUMENT' })
    const tags = Array.from({ length: 33 }, () => ({ name: 'a', values: ['b'] }))
    assert.throws(() => transactionSearch({ tags }), { code: 'INVALID_ARGUMENT' })
  })
})

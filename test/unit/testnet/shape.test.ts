import assert from 'node:assert/strict'
import { nodesOfShape } from '../../../src/testnet/shape.ts'

describe('the shape of a testnet', () => {
  it('names nodes by kind, in the order they start, however it is written', () => {
    assert.deepEqual(nodesOfShape('mu=1, all=1,su=2,cu=1'), [
      { name: 'su-1', roles: ['SU'] },
      { name: 'su-2', roles: ['SU'] },
      { name: 'cu-1', roles: ['CU'] },
      { name: 'mu-1', roles: ['MU'] },
      { name: 'all-1', roles: ['MU', 'SU', 'CU'] },
    ])
    assert.equal(nodesOfShape('all=3').length, 3)
  })

  for (const [shape, why] of [
    ['', /cannot be read/],
    ['su=1,cu=1', /has no MU/],
    ['su=1;cu=1;mu=1', /cannot be read/],
    ['all=1,all=2', /cannot be read/],
    ['all=-1', /cannot be read/],
    ['dns=1', /cannot be read/],
    ['su=1,cu=1,mu=63', /more than 64/],
  ] as const) {
    it(`refuses "${shape}"`, () => {
      assert.throws(() => nodesOfShape(shape), { code: 'INVALID_ARGUMENT', message: why })
    })
  }
})

import assert from 'node:assert/strict'
import { inWords } from '../../../src/cli/output.ts'

describe('cli output', () => {
  it('shows lists and fields in words', () => {
    assert.equal(inWords(['MU', 'SU']), 'MU, SU')
    assert.equal(inWords([]), 'none')
    assert.equal(
      inWords({ settled: 23, lastBundle: { id: 'x', to: 4 }, of: null }),
      'settled 23, last bundle (id x, to 4), of none',
    )
  })
})

import assert from 'node:assert/strict'
import { type ErrorCode, retryAdvice } from '../../../../src/lib/errors.ts'
import { refusal, saysItHasIt } from '../../../../src/network/foreign/refusals.ts'

const answer = (status: number, body: object | string) => ({
  ...{ status, text: typeof body === 'string' ? body : JSON.stringify(body) },
})

describe('network/foreign/refusals', () => {
  const cases: readonly (readonly [number, object | string, ErrorCode, 'final' | 'later'])[] = [
    [400, { error: 'Type tag not present' }, 'INVALID_DATA_ITEM', 'final'],
    [400, { error: 'Error verifying the signature' }, 'INVALID_DATA_ITEM', 'final'],
    [400, { error: 'the database is locked' }, 'PEER_UNREACHABLE', 'later'],
    [403, { error: 'Access denied' }, 'NOT_ALLOWED', 'final'],
    [404, '', 'UNKNOWN_PROCESS', 'later'],
    [413, '', 'TOO_LARGE', 'final'],
    [429, { error: 'slow down', code: 'INVALID_DATA_ITEM' }, 'OVERLOADED', 'later'],
    [503, { error: 'warming up' }, 'PEER_UNREACHABLE', 'later'],
    [400, { error: 'no', code: 'INVALID_ARGUMENT' }, 'INVALID_ARGUMENT', 'final'],
    [400, { error: 'no', code: 'STORE_LOCKED' }, 'PEER_UNREACHABLE', 'later'],
    [400, '<html>', 'PEER_UNREACHABLE', 'later'],
  ]
  for (const [status, body, code, advice] of cases) {
    it(`takes ${status} ${JSON.stringify(body)} for ${code}, ${advice}`, () => {
      const error = refusal(answer(status, body), { url: 'http://su' })
      assert.equal(error.code, code)
      assert.equal(retryAdvice(error) === 'no' ? 'final' : 'later', advice)
      assert.equal(error.facts['url'], 'http://su')
    })
  }

  it('knows what a repeat is answered with', () => {
    assert.ok(saysItHasIt(answer(400, { error: 'Message already exists' })))
    assert.ok(!saysItHasIt(answer(400, { error: 'no' })))
    assert.ok(!saysItHasIt(answer(500, { error: 'Message already exists' })))
  })
})

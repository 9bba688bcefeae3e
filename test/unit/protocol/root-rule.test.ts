import assert from 'node:assert/strict'
import type { Nonce } from '../../../src/protocol/ids.ts'
import { isRootDue } from '../../../src/protocol/root-rule.ts'

const rule = { everyGas: 100n, everyMessages: 3 }
const nonce = 7 as Nonce

describe('protocol/root-rule', () => {
  it('wants a root after the first message, whatever it cost', () => {
    assert.equal(isRootDue(rule, { nonce: undefined, gasSince: 1n, messagesSince: 1 }), true)
  })

  it('wants one when enough gas or enough messages have gone by, and not before', () => {
    assert.equal(isRootDue(rule, { nonce, gasSince: 99n, messagesSince: 2 }), false)
    assert.equal(isRootDue(rule, { nonce, gasSince: 100n, messagesSince: 1 }), true)
    assert.equal(isRootDue(rule, { nonce, gasSince: 0n, messagesSince: 3 }), true)
  })
})

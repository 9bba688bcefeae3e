import assert from 'node:assert/strict'
import { recent } from '../../../src/http/recent.ts'
import { TestClock } from '../../support/eventually.ts'

describe('http/recent', () => {
  it('asks once for all who come within its time, and again after', async () => {
    const clock = new TestClock()
    let asked = 0
    const ask = recent(async () => ++asked, { ms: 100, clock })
    assert.deepEqual(await Promise.all([ask(), ask(), ask()]), [1, 1, 1])
    clock.advance(99)
    assert.equal(await ask(), 1)
    clock.advance(1)
    assert.equal(await ask(), 2)
  })

  it('does not keep a failure', async () => {
    let fails = true
    const ask = recent(async () => (fails ? Promise.reject(new Error('down')) : 'up'), {
      ms: 100,
      clock: new TestClock(),
    })
    await assert.rejects(ask(), /down/)
    fails = false
    assert.equal(await ask(), 'up')
  })
})

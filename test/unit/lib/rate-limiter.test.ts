import assert from 'node:assert/strict'
import { RateLimiter } from '../../../src/lib/rate-limiter.ts'
import { TestClock } from '../../support/eventually.ts'

describe('lib/rate-limiter', () => {
  const times = (count: number, take: () => boolean): number =>
    Array.from({ length: count }, take).filter(Boolean).length

  it('lets a burst pass, then only what comes back each second, for each key apart', () => {
    const clock = new TestClock()
    const limiter = new RateLimiter(clock, { perSecond: 10, burst: 30, maxKeys: 4 })
    assert.equal(
      times(100, () => limiter.take('a')),
      30,
    )
    assert.equal(
      times(100, () => limiter.take('b')),
      30,
    )
    clock.advance(500)
    assert.equal(
      times(100, () => limiter.take('a')),
      5,
    )
    clock.advance(60_000)
    assert.equal(
      times(100, () => limiter.take('a')),
      30,
      'no more than the burst is saved',
    )
  })

  it('takes a cost whole or not at all', () => {
    const limiter = new RateLimiter(new TestClock(), { perSecond: 1, burst: 10, maxKeys: 4 })
    assert.equal(limiter.take('a', 11), false)
    assert.equal(limiter.take('a', 10), true)
    assert.equal(limiter.take('a', 1), false)
  })

  it('gives nothing for a clock that goes back', () => {
    const clock = new TestClock()
    const limiter = new RateLimiter(clock, { perSecond: 10, burst: 1, maxKeys: 4 })
    assert.ok(limiter.take('a'))
    clock.advance(-60_000)
    assert.ok(!limiter.take('a'))
  })

  it('remembers a bounded number of keys, the longest unused forgotten first', () => {
    const limiter = new RateLimiter(new TestClock(), { perSecond: 1, burst: 1, maxKeys: 2 })
    for (const key of ['a', 'b', 'a', 'c']) limiter.take(key)
    assert.equal(limiter.size, 2)
    assert.ok(!limiter.take('a'))
    assert.ok(limiter.take('b'), 'forgotten, so it begins anew')
  })
})

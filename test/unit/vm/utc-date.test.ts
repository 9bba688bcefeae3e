import assert from 'node:assert/strict'
import { UtcDate } from '../../../src/vm/utc-date.ts'

describe('vm/utc-date', () => {
  it('has local time equal to UTC, in reading, writing and making', () => {
    const date = new UtcDate(2020, 6, 1, 23, 30, 15)
    assert.equal(date.toISOString(), '2020-07-01T23:30:15.000Z')
    assert.deepEqual([date.getHours(), date.getDate(), date.getMonth(), date.getYear()], [23, 1, 6, 120])
    date.setMonth(0)
    date.setDate(31)
    assert.equal(date.toISOString(), '2020-01-31T23:30:15.000Z')
    assert.equal(date.getTimezoneOffset(), 0)
    assert.match(date.toLocaleTimeString(), /^23:30:15 UTC$/)
  })

  it('knows no present', () => {
    assert.equal(new UtcDate().getTime(), 0)
    assert.equal(UtcDate.now(), 0)
  })
})

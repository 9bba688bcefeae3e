import assert from 'node:assert/strict'
import { cursorOf, parsePlace } from '../../../src/http/result-cursor.ts'
import type { Nonce } from '../../../src/protocol/ids.ts'
import type { Result } from '../../../src/protocol/result.ts'
import { aProcess, schedule } from '../../support/builders.ts'

describe('http/result-cursor', () => {
  it('writes what aos reads: base64 of JSON with the nonce as text', async () => {
    const [row] = await schedule(await aProcess(), [], { startAt: 5 })
    assert.ok(row)
    const cursor = cursorOf({ assignment: row.assignment, result: { nonce: 0 } as Result }, 'DESC')
    assert.deepEqual(JSON.parse(atob(cursor)), { timestamp: 5, ordinate: '0', cron: null, sort: 'DESC' })
    assert.deepEqual(parsePlace(cursor, 'from'), { bound: { nonce: 0 }, sort: 'DESC' })
  })

  it('names a cron message by the message before it, its time and its id', async () => {
    const [row] = await schedule(await aProcess())
    assert.ok(row)
    const cron = { timestamp: 1_700_000_010_000, blockHeight: 7, id: '0-10-seconds' }
    const cursor = cursorOf({ assignment: row.assignment, result: { nonce: 3 as Nonce, cron } as Result }, 'ASC')
    const { ordinate, timestamp, cron: id } = JSON.parse(atob(cursor)) as Record<string, unknown>
    assert.deepEqual([ordinate, timestamp, id], ['3', 1_700_000_010_000, '0-10-seconds'])
    assert.deepEqual(parsePlace(cursor, 'from'), { bound: { nonce: 3, cron }, sort: 'ASC' })
  })

  it('takes a time, and cursors of the reference CU', () => {
    assert.deepEqual(parsePlace('1700000000000', 'from'), { bound: { timestamp: 1_700_000_000_000 } })
    const foreign = btoa('{"timestamp":1700,"ordinate":12,"sort":"ASC"}')
    assert.deepEqual(parsePlace(foreign, 'to'), { bound: { nonce: 12 }, sort: 'ASC' })
    assert.deepEqual(parsePlace(btoa('{"timestamp":1700}'), 'to'), { bound: { timestamp: 1700 }, sort: undefined })
  })

  it('refuses what is neither, and names the parameter', () => {
    for (const text of ['x', '-1', '99999999999999999999', btoa('null'), btoa('{"ordinate":"-1"}'), btoa('{}')]) {
      assert.throws(() => parsePlace(text, 'from'), { code: 'INVALID_ARGUMENT', message: /^from / }, text)
    }
  })
})

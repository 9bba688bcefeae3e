import assert from 'node:assert/strict'
import { toDryRunMessage } from '../../../src/units/compute/messages.ts'
import { aProcess, processIdOf, schedule } from '../../support/builders.ts'

describe('units/compute/messages: a message for a dry-run', () => {
  it('stands at the newest message unless it says otherwise, and what makes it a dry-run cannot be overridden', async () => {
    const item = await aProcess()
    const process = processIdOf(item)
    const [row] = await schedule(item)
    assert.ok(row)
    const { timestamp, blockHeight } = row.assignment
    const plain = toDryRunMessage(process, { owner: 'me', tags: [], data: 'x' }, row.assignment)
    assert.deepEqual([plain['Timestamp'], plain['Block-Height']], [timestamp, blockHeight])
    const fields = { Timestamp: 5, Module: 'mine', 'Read-Only': false, Cron: true, Owner: 'you', Target: 'elsewhere' }
    const said = toDryRunMessage(process, { owner: 'me', tags: [], data: 'x', fields }, row.assignment)
    assert.deepEqual(said, { ...plain, Timestamp: 5, Module: 'mine' })
  })
})

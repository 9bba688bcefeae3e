import assert from 'node:assert/strict'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { exportSignGuard, importSignGuard } from '../../../src/node/sign-guard.ts'
import { planAssignment, type ScheduledMessage } from '../../../src/protocol/assignment.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { Nonce } from '../../../src/protocol/ids.ts'
import { MemoryAssignmentLog, MemorySignGuard } from '../../../src/storage/memory.ts'
import { Sequencer } from '../../../src/units/scheduler/sequencer.ts'
import { aMessage, anId, aProcess, messages, processIdOf, schedule, testSigner } from '../../support/builders.ts'

const signer = testSigner('su')
const block = { height: 1_500_000, hash: anId('block'), timestamp: 1 }

describe('node/sign guard: moving a scheduler', () => {
  let item: DataItem
  let rows: readonly ScheduledMessage[]
  let promised: DataItem
  let file: string

  const aNode = () => ({ log: new MemoryAssignmentLog(), guard: new MemorySignGuard() })
  const sequencer = (node: ReturnType<typeof aNode>): Sequencer =>
    new Sequencer(
      {
        ...node,
        signer,
        clock: systemClock,
        telemetry: silentTelemetry,
        block: () => block,
        onDurable: () => undefined,
      },
      { maxPending: 9, maxPendingPerProcess: 9, maxPendingBytes: 1e6, maxBatch: 9, maxBatchBytes: 1e6 },
    )

  beforeEach(async () => {
    item = await aProcess()
    rows = await schedule(item, await messages(item, 3))
    promised = await aMessage(item, { data: 'promised, not signed' })
    const old = aNode()
    await old.log.append(rows)
    const next = { process: processIdOf(item), message: promised.id, now: 1_700_000_111_222, block }
    await old.guard.promise([{ plan: planAssignment(rows.at(-1)?.assignment, next), message: promised }])
    file = JSON.stringify(await exportSignGuard(old, signer.address))
  })

  it('lets the new node order nothing before it has the whole schedule, and then go on with what was promised', async () => {
    const fresh = aNode()
    await importSignGuard(fresh, signer.address, JSON.parse(file))
    const early = sequencer(fresh)
    await assert.rejects(early.append(processIdOf(item), item))
    assert.equal(await fresh.log.size(), 0)

    await fresh.log.append(rows)
    const later = sequencer(fresh)
    const given = await later.append(processIdOf(item), await aMessage(item, { data: 'new' }))
    assert.equal(given.nonce, 5)
    const kept = await fresh.log.at(processIdOf(item), 4 as Nonce)
    assert.deepEqual([kept?.message, kept?.timestamp], [promised.id, 1_700_000_111_222])
  })

  it('says the same when it is exported again', async () => {
    const fresh = aNode()
    await importSignGuard(fresh, signer.address, JSON.parse(file))
    assert.deepEqual(JSON.parse(JSON.stringify(await exportSignGuard(fresh, signer.address))), JSON.parse(file))
  })

  it('refuses what is no sign guard, or of another key, or holds another message than it names', async () => {
    const fresh = aNode()
    for (const wrong of [null, {}, { ...JSON.parse(file), version: 2 }]) {
      await assert.rejects(importSignGuard(fresh, signer.address, wrong), { code: 'INVALID_ARGUMENT' })
    }
    const other = testSigner('other').address
    await assert.rejects(importSignGuard(fresh, other, JSON.parse(file)), { code: 'INVALID_ARGUMENT' })
    const changed = JSON.parse(file)
    changed.promises[0].plan.message = rows[1]?.assignment.message
    await assert.rejects(importSignGuard(fresh, signer.address, changed), { code: 'INVALID_ARGUMENT' })
    assert.deepEqual(await fresh.guard.open(), [])
  })
})

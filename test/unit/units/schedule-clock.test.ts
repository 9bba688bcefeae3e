import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { MemoryGossipHub } from '../../../src/network/memory-gossip.ts'
import { MemoryAssignmentLog, MemoryScheduleFloor, MemorySignGuard } from '../../../src/storage/memory.ts'
import { SchedulerUnit } from '../../../src/units/scheduler/scheduler.ts'
import { defaultSchedulerUnitOptions } from '../../../src/units/scheduler/scheduler-options.ts'
import { aMessage, anId, aProcess, processIdOf, testSigner } from '../../support/builders.ts'
import { eventually, TestClock } from '../../support/eventually.ts'

describe('units/scheduler clock', () => {
  const disk = { log: new MemoryAssignmentLog(), guard: new MemorySignGuard(), floor: new MemoryScheduleFloor() }
  const start = async (clock: TestClock, startHeight: number): Promise<SchedulerUnit> => {
    const arweave = new MemoryArweave({ clock, startHeight })
    const unit = new SchedulerUnit(
      {
        ...{ ...disk, signer: testSigner('su'), clock, telemetry: silentTelemetry },
        ...{ arweave, gossip: new MemoryGossipHub().join('su') },
      },
      { ...defaultSchedulerUnitOptions, headPollMs: 1 },
    )
    await unit.start()
    return unit
  }

  it('keeps what it promised, also when the clock and Arweave go back, over a restart', async () => {
    const item = await aProcess()
    const process = processIdOf(item)
    const clock = new TestClock()
    const first = await start(clock, 1_500_010)
    await eventually('the first block', () => first.schedule(item).catch(() => undefined))
    clock.advance(60_000)
    const promised = await first.clock(process)
    assert.deepEqual([promised.nonce, promised.blockHeight], [0, 1_500_010])
    clock.advance(-50_000)
    const message = await first.schedule(await aMessage(item, { data: 'the clock was set back' }))
    assert.ok(message.timestamp >= promised.timestamp)
    assert.equal((await first.clock(process)).nonce, 1)
    await first.stop()

    const second = await start(clock, 1_500_000)
    const next = await aMessage(item, { data: 'after the restart' })
    const later = await eventually('the first block again', () => second.schedule(next).catch(() => undefined))
    assert.ok(later.timestamp >= promised.timestamp)
    assert.ok(later.blockHeight >= promised.blockHeight)
    await assert.rejects(second.clock(anId('nobody')), { code: 'UNKNOWN_PROCESS' })
    await second.stop()
  })

  it('refuses a Process whose crons could not be run', async () => {
    const unit = await start(new TestClock(), 1_500_020)
    const item = await aProcess({ tags: [{ name: 'Cron-Interval', value: 'soon' }] })
    await assert.rejects(unit.schedule(item), { code: 'INVALID_DATA_ITEM', message: /Cron-Interval/ })
    await unit.stop()
  })
})

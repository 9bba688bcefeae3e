import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { AoError } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { MemoryGossipHub } from '../../../src/network/memory-gossip.ts'
import type { ScheduledMessage } from '../../../src/protocol/assignment.ts'
import { type DataItem, verifyDataItem } from '../../../src/protocol/data-item.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import { MemoryAssignmentLog, MemoryScheduleFloor, MemorySignGuard } from '../../../src/storage/memory.ts'
import { SchedulerUnit } from '../../../src/units/scheduler/scheduler.ts'
import { defaultSchedulerUnitOptions } from '../../../src/units/scheduler/scheduler-options.ts'
import { aMessage, aProcess, messages, processIdOf, schedule, testSigner } from '../../support/builders.ts'
import { eventually, TestClock } from '../../support/eventually.ts'

describe('units/scheduler/twin watch', () => {
  let arweave: MemoryArweave
  let log: MemoryAssignmentLog
  let guard: MemorySignGuard
  let item: DataItem
  let process: ProcessId
  /** The true schedule, of which a log may be an older copy. */
  let rows: readonly ScheduledMessage[]
  const running: SchedulerUnit[] = []

  const start = async (): Promise<SchedulerUnit> => {
    const clock = new TestClock()
    const unit = new SchedulerUnit(
      {
        ...{
          signer: testSigner('su'),
          log,
          guard,
          floor: new MemoryScheduleFloor(),
          clock,
          telemetry: silentTelemetry,
        },
        ...{ arweave, gossip: new MemoryGossipHub().join('su') },
      },
      { ...defaultSchedulerUnitOptions, headPollMs: 1 },
    )
    await unit.start()
    running.push(unit)
    return unit
  }
  /** What the unit says to a message once it has seen a block and asked Arweave. */
  const ordered = async (unit: SchedulerUnit): Promise<string> =>
    eventually('an answer', async () => {
      const message = await aMessage(item, { data: 'one more' })
      return unit.schedule(message).then(
        ({ nonce }) => `nonce ${nonce}`,
        (error: AoError) => (error.code === 'NOT_READY' ? undefined : error.code),
      )
    })
  const settle = async (row: ScheduledMessage | undefined): Promise<void> => {
    assert.ok(row)
    await arweave.upload(await verifyDataItem(row.assignment.raw))
  }

  beforeEach(async () => {
    arweave = new MemoryArweave()
    log = new MemoryAssignmentLog()
    guard = new MemorySignGuard()
    item = await aProcess()
    process = processIdOf(item)
    rows = await schedule(item, await messages(item, 4))
    await log.append(rows.slice(0, 3))
  })
  afterEach(async () => {
    for (const unit of running.splice(0)) await unit.stop()
  })

  it('orders when Arweave knows no more than the log', async () => {
    for (const row of rows.slice(0, 3)) await settle(row)
    assert.equal(await ordered(await start()), 'nonce 3')
  })

  it('signs nothing on a backup that is older than what is settled, now and after another start', async () => {
    for (const row of rows) await settle(row)
    assert.equal(await ordered(await start()), 'EQUIVOCATION')
    assert.equal((await guard.floor(process))?.nonce, 4)
    arweave = new MemoryArweave() // a gateway that forgot it
    assert.equal(await ordered(await start()), 'EQUIVOCATION')
    await log.append(rows.slice(3))
    assert.equal(await ordered(await start()), 'nonce 5', 'with the whole log back it goes on')
  })

  it('signs nothing before Arweave has answered', async () => {
    const { signedBy } = arweave
    arweave.signedBy = async () => {
      throw new AoError('PEER_UNREACHABLE', 'no gateway')
    }
    const unit = await start()
    await eventually('a block', async () => {
      const error = await unit.schedule(await aMessage(item)).catch((reason: AoError) => reason)
      return error instanceof AoError && /compared/.test(error.message) && error.code === 'NOT_READY'
    })
    assert.equal((await log.tail(process))?.nonce, 2)
    arweave.signedBy = signedBy
  })

  it('stops when gossip brings an Assignment of its key that it did not make', async () => {
    const unit = await start()
    assert.equal(await ordered(unit), 'nonce 3')
    const own = await log.tail(process)
    assert.ok(own)
    unit.onAssignment(own)
    const [other] = await schedule(await aProcess({ data: 'elsewhere' }), [], { scheduler: testSigner('other') })
    assert.ok(other)
    unit.onAssignment(other.assignment)
    assert.match(await ordered(unit), /nonce 3/, 'neither its own nor those of others concern it')
    const fork = rows[3]
    assert.ok(fork)
    unit.onAssignment(fork.assignment)
    let sent = 0
    await eventually('the stop', async () => {
      const message = await aMessage(item, { data: `late ${sent++}` })
      return (await unit.schedule(message).catch((reason: AoError) => reason.code)) === 'EQUIVOCATION'
    })
  })

  it('is stopped by no item that its key did not sign, whatever a gateway lists', async () => {
    const [, forged] = await schedule(item, await messages(item, 1), { scheduler: testSigner('liar') })
    assert.ok(forged)
    const liar = await verifyDataItem(forged.assignment.raw)
    arweave.signedBy = async () => [{ id: liar.id, tags: liar.tags }]
    arweave.item = async () => liar
    assert.equal(await ordered(await start()), 'nonce 3')
  })
})

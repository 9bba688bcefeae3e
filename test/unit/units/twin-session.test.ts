import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import type { AoError } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { MemoryGossipHub } from '../../../src/network/memory-gossip.ts'
import type { OwnSession, PeerMemory, Recalled } from '../../../src/ports/session.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import { type Session, sessionText, type UnitRecord } from '../../../src/protocol/unit-record.ts'
import { MemoryAssignmentLog, MemoryScheduleFloor, MemorySignGuard } from '../../../src/storage/memory.ts'
import { SchedulerUnit } from '../../../src/units/scheduler/scheduler.ts'
import { defaultSchedulerUnitOptions } from '../../../src/units/scheduler/scheduler-options.ts'
import { aMessage, anItem, aProcess, messages, schedule, testSigner } from '../../support/builders.ts'
import { eventually, TestClock } from '../../support/eventually.ts'

const startedAt = 1_700_000_000_000
const mine: Session = { number: 5, instance: 'aaaaaaaaaaaaaaaa' }
const other = (number: number): Session => ({ number, instance: 'bbbbbbbbbbbbbbbb' })

describe('units/scheduler/twin watch: sessions', () => {
  const { address } = testSigner('su')
  let arweave: MemoryArweave
  let log: MemoryAssignmentLog
  let item: DataItem
  let raised: number[]
  let recalled: readonly Recalled[]
  let asked: number
  /** Who answers where the record says. */
  let alive: Session | undefined
  const running: SchedulerUnit[] = []

  const recordOf = (session: Session | undefined, issuedAt: number): UnitRecord =>
    ({ address, session, issuedAt }) as unknown as UnitRecord
  const remembers = (session: Session, issuedAt = startedAt - 1): readonly Recalled[] => [
    { record: recordOf(session, issuedAt), assignments: [] },
  ]
  const start = async ({ confirmed = false, expected = true } = {}): Promise<SchedulerUnit> => {
    const session: OwnSession = {
      ...{ current: mine, startedAt, confirmed },
      raiseAbove: async number => void raised.push(number),
    }
    const recall: PeerMemory['recall'] = async () => {
      asked++
      return recalled
    }
    const unit = new SchedulerUnit(
      {
        ...{ signer: testSigner('su'), log, guard: new MemorySignGuard(), clock: new TestClock() },
        ...{ telemetry: silentTelemetry, arweave, gossip: new MemoryGossipHub().join('su') },
        ...{ floor: new MemoryScheduleFloor(), session, peers: { expected, recall, sessionAt: async () => alive } },
      },
      { ...defaultSchedulerUnitOptions, headPollMs: 1 },
    )
    await unit.start()
    running.push(unit)
    return unit
  }
  const ordered = async (unit: SchedulerUnit): Promise<string> =>
    eventually('an answer', async () => {
      const message = await aMessage(item, { data: 'one more' })
      return unit.schedule(message).then(
        ({ nonce }) => `nonce ${nonce}`,
        (error: AoError) => (error.code === 'NOT_READY' ? undefined : `${error.code} ${error.hint}`),
      )
    })
  let sent = 0
  const stops = (unit: SchedulerUnit): Promise<boolean> =>
    eventually('the stop', async () => {
      const late = await aMessage(item, { data: `late ${sent++}` })
      return (await unit.schedule(late).catch((error: AoError) => error.code)) === 'EQUIVOCATION'
    })

  beforeEach(async () => {
    arweave = new MemoryArweave()
    log = new MemoryAssignmentLog()
    item = await aProcess()
    await log.append((await schedule(item, await messages(item, 4))).slice(0, 3))
    raised = []
    recalled = []
    asked = 0
    alive = undefined
  })
  afterEach(async () => {
    for (const unit of running.splice(0)) await unit.stop()
  })

  it('orders when peers remember its earlier sessions only', async () => {
    recalled = remembers(other(4))
    assert.equal(await ordered(await start()), 'nonce 3')
  })

  it('signs nothing before a peer that ought to be there has answered', async () => {
    const unit = await start()
    await eventually('a question', () => asked > 1)
    await assert.rejects(unit.schedule(await aMessage(item)), { code: 'NOT_READY' })
    assert.equal(unit.obstacle()?.code, 'NOT_READY', 'and its node does not say that it is ready')
    recalled = remembers(other(4))
    await eventually('that nothing stands in the way', () => unit.obstacle() === undefined)
    assert.equal((await unit.schedule(await aMessage(item))).nonce, 3, 'whoever comes then is not sent away')
  })

  it('waits for nobody when it knows of nobody', async () => {
    assert.equal(await ordered(await start({ expected: false })), 'nonce 3')
  })

  for (const number of [6, 5]) {
    it(`refuses when a peer remembers session ${number} of another start, until the operator says that this is the true one`, async () => {
      recalled = remembers(other(number))
      assert.match(await ordered(await start()), /^EQUIVOCATION .*--confirm-moved true/)
      assert.equal(await ordered(await start({ confirmed: true })), 'nonce 3')
      assert.deepEqual(raised, [number], 'and is the newest from then on')
    })
  }

  it('signs nothing while a start that a peer remembers still answers, whatever its number and whatever the operator says', async () => {
    for (const number of [4, 5, 6]) {
      recalled = remembers(other(number))
      alive = other(number)
      assert.match(await ordered(await start({ confirmed: true })), /^EQUIVOCATION .*Both have stopped/)
    }
    alive = mine // after a restart at the same place it is itself who answers
    recalled = remembers(other(4))
    assert.equal(await ordered(await start()), 'nonce 3')
  })

  it('refuses when Arweave names a newer session, signed by its key', async () => {
    const place = async (session: Session, signer: string): Promise<DataItem> =>
      anItem(
        {
          data: Buffer.from(' '),
          tags: [
            { name: 'Data-Protocol', value: 'ao' },
            { name: 'Type', value: 'Scheduler-Location' },
            { name: 'Session', value: sessionText(session) },
          ],
        },
        testSigner(signer),
      )
    recalled = remembers(other(4))
    await arweave.upload(await place(other(9), 'stranger'))
    await arweave.upload(await place(other(4), 'su'))
    assert.equal(await ordered(await start()), 'nonce 3')
    await arweave.upload(await place(other(6), 'su'))
    assert.match(await ordered(await start()), /^EQUIVOCATION/)
  })

  it('refuses when a peer remembers an Assignment that its log has not', async () => {
    const rows = await schedule(item, await messages(item, 5))
    const newest = rows.at(-1)
    assert.ok(newest)
    recalled = [{ assignments: [newest.assignment] }]
    assert.match(await ordered(await start()), /^EQUIVOCATION/)
  })

  it('stops when a record of another session appears that was signed after this start, whatever its number', async () => {
    for (const number of [3, 5, 8]) {
      const unit = await start({ expected: false, confirmed: true })
      assert.equal(await ordered(unit), 'nonce 3')
      unit.onRecord(recordOf(mine, startedAt + 10))
      unit.onRecord({ ...recordOf(other(number), startedAt + 10), address: testSigner('another').address })
      assert.equal(await ordered(unit), 'nonce 3', 'neither its own nor those of others concern it')
      unit.onRecord(recordOf(other(number), startedAt + 10))
      await stops(unit)
      log = new MemoryAssignmentLog()
      await log.append((await schedule(item, await messages(item, 4))).slice(0, 3))
    }
  })
})

import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { MemoryGossipHub } from '../../../src/network/memory-gossip.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import type { Signer } from '../../../src/protocol/keys.ts'
import { type Tag, tagsOf } from '../../../src/protocol/tags.ts'
import { MemoryAssignmentLog, MemoryScheduleFloor, MemorySignGuard } from '../../../src/storage/memory.ts'
import { SchedulerUnit } from '../../../src/units/scheduler/scheduler.ts'
import {
  defaultSchedulerUnitOptions,
  type SchedulerUnitOptions,
} from '../../../src/units/scheduler/scheduler-options.ts'
import { aMessage, anId, anItem, aProcess, messages, processIdOf, testSigner } from '../../support/builders.ts'
import { eventually, TestClock } from '../../support/eventually.ts'

describe('units/scheduler', () => {
  let unit: SchedulerUnit
  let log: MemoryAssignmentLog
  let guard: MemorySignGuard
  let hub: MemoryGossipHub
  let arweave: MemoryArweave
  let item: DataItem
  let process: ProcessId

  const start = async (options: Partial<SchedulerUnitOptions> = {}): Promise<SchedulerUnit> => {
    const clock = new TestClock()
    const signer = testSigner('su')
    arweave = new MemoryArweave({ clock })
    const started = new SchedulerUnit(
      {
        ...{ signer, log, guard, floor: new MemoryScheduleFloor(), clock, telemetry: silentTelemetry },
        ...{ arweave, gossip: hub.join('su') },
      },
      { ...defaultSchedulerUnitOptions, headPollMs: 1, ...options },
    )
    await started.start()
    return started
  }

  beforeEach(async () => {
    log = new MemoryAssignmentLog()
    guard = new MemorySignGuard()
    hub = new MemoryGossipHub()
    unit = await start()
    item = await aProcess()
    process = processIdOf(item)
    await eventually('the first block', () => unit.schedule(item).catch(() => undefined))
  })
  afterEach(() => unit.stop())

  it('is not ready before it has seen a block', async () => {
    const clock = new TestClock()
    const early = new SchedulerUnit({
      ...{ signer: testSigner('su'), log, guard, floor: new MemoryScheduleFloor(), clock, telemetry: silentTelemetry },
      ...{ arweave: new MemoryArweave({ clock }), gossip: hub.join('early') },
    })
    await assert.rejects(early.schedule(item), { code: 'NOT_READY' })
  })

  it('puts the Process item at nonce 0 and messages after it', async () => {
    assert.equal((await unit.assignment(process, 0 as Nonce)).message, item.id)
    const assignment = await unit.schedule(await aMessage(item))
    assert.equal(assignment.nonce, 1)
    assert.equal(assignment.scheduler, testSigner('su').address)
    assert.equal((await unit.process(process)).id, item.id)
  })

  it('shows a new Process on Arweave before anything is settled, its messages not', async () => {
    const message = await aMessage(item)
    await unit.schedule(message)
    await eventually('the Process on Arweave', () => arweave.item(item.id))
    const late = await aProcess({ data: 'after it' })
    arweave.upload = () => Promise.reject(new Error('no uploader'))
    assert.equal((await unit.schedule(late)).nonce, 0)
    assert.equal(await arweave.item(message.id), undefined)
  })

  it('gives the same message the same Assignment, one after the other and at once', async () => {
    const message = await aMessage(item)
    const given = await Promise.all([unit.schedule(message), unit.schedule(message), unit.schedule(message)])
    given.push(await unit.schedule(message))
    assert.equal(new Set(given.map(({ id }) => id)).size, 1)
    assert.equal((await unit.assignment(process, 'newest')).nonce, 1)
  })

  describe('given the same part of an outbox by several MUs', () => {
    const mu = ['mu 1', 'mu 2'].map(name => testSigner(name))
    let believing: DataItem
    const pushed = (signer: Signer | undefined, index = 0, tags: readonly Tag[] = []) =>
      aMessage(believing, {
        signer: signer ?? testSigner('stranger'),
        tags: [...tagsOf(['From-Process', process], ['From-Nonce', '4'], ['From-Index', String(index)]), ...tags],
      })

    beforeEach(async () => {
      believing = await aProcess({ data: 'believes', authorities: mu.map(({ address }) => address) })
      await unit.schedule(believing)
    })

    it('orders it once and answers all with the first Assignment, at once and later', async () => {
      const copies = await Promise.all([pushed(mu[0]), pushed(mu[1]), pushed(mu[1], 0, tagsOf(['X', 'other words']))])
      const given = await Promise.all(copies.map(copy => unit.schedule(copy)))
      for (const copy of copies) given.push(await unit.schedule(copy))
      assert.equal(new Set(given.map(({ id }) => id)).size, 1)
      assert.equal((await unit.assignment(processIdOf(believing), 'newest')).nonce, 1)
    })

    it('remembers it over a restart', async () => {
      const first = await unit.schedule(await pushed(mu[0]))
      await unit.stop()
      hub = new MemoryGossipHub()
      unit = await start()
      await eventually('a block', () => unit.schedule(believing).catch(() => undefined))
      assert.equal((await unit.schedule(await pushed(mu[1]))).id, first.id)
    })

    it('keeps different parts, and parts for another Process, apart', async () => {
      const nonces = [
        (await unit.schedule(await pushed(mu[0], 0))).nonce,
        (await unit.schedule(await pushed(mu[0], 1))).nonce,
      ]
      assert.deepEqual(nonces, [1, 2])
      const twin = await aProcess({ data: 'also believes', authorities: mu.map(({ address }) => address) })
      await unit.schedule(twin)
      const tags = (await pushed(mu[0])).tags.filter(({ name }) => name.startsWith('From-'))
      assert.equal(
        (await unit.schedule(await aMessage(twin, { signer: mu[0] ?? testSigner(), tags }))).process,
        twin.id,
      )
    })

    it('lets no stranger take the place of a part by a copy of its tags', async () => {
      const fake = await unit.schedule(await pushed(undefined))
      const real = await unit.schedule(await pushed(mu[0]))
      const again = await unit.schedule(await pushed(undefined, 0, tagsOf(['X', 'again'])))
      assert.deepEqual([fake.nonce, real.nonce, again.nonce], [1, 2, 3])
    })
  })

  it('refuses what it should not order, and says why', async () => {
    const foreign = await aProcess({ scheduler: testSigner('other').address })
    await assert.rejects(unit.schedule(foreign), error => {
      const { code, facts } = error as { code: string; facts: { scheduler: string } }
      return code === 'WRONG_UNIT' && facts.scheduler === testSigner('other').address
    })
    await assert.rejects(unit.schedule(await aMessage(anId<ProcessId>('nobody'))), { code: 'UNKNOWN_PROCESS' })
    await assert.rejects(unit.schedule(await anItem({ target: process })), { code: 'INVALID_DATA_ITEM' })
    await assert.rejects(unit.assignment(process, 7 as Nonce), { code: 'UNKNOWN_MESSAGE' })
    await assert.rejects(unit.assignment(anId<ProcessId>('nobody'), 'newest'), { code: 'UNKNOWN_PROCESS' })
  })

  it('refuses an item over its size limit', async () => {
    await unit.stop()
    hub = new MemoryGossipHub()
    unit = await start({ maxItemBytes: 500 })
    await assert.rejects(unit.schedule(await aMessage(item, { data: 'x'.repeat(600) })), { code: 'TOO_LARGE' })
  })

  it('tells gossip of each Assignment', async () => {
    const heard: Uint8Array[] = []
    hub.join('peer').subscribe('assignments', async bytes => {
      heard.push(bytes)
      return 'accept'
    })
    const { raw } = await unit.schedule(await aMessage(item))
    assert.deepEqual(await eventually('the announcement', () => heard[0]), Buffer.from(raw))
  })

  it('lets a reader follow: what is there, then what comes, until its signal fires', async () => {
    const stop = new AbortController()
    const seen: number[] = []
    const reading = (async () => {
      const range = { from: 0 as Nonce, follow: true }
      for await (const { assignment } of unit.read(process, range, { signal: stop.signal })) seen.push(assignment.nonce)
    })()
    await eventually('the first row', () => seen.length === 1)
    for (const message of await messages(item, 5)) await unit.schedule(message)
    await eventually('all rows', () => seen.length === 6)
    stop.abort()
    await reading
    assert.deepEqual(seen, [0, 1, 2, 3, 4, 5])
  })

  it('loses no row for a reader that is slower than the schedule', async () => {
    const seen: number[] = []
    const range = { from: 1 as Nonce, to: 30 as Nonce, follow: true }
    const reading = (async () => {
      for await (const { assignment } of unit.read(process, range)) {
        seen.push(assignment.nonce)
        await new Promise(resolve => setImmediate(resolve))
      }
    })()
    for (const message of await messages(item, 30)) await unit.schedule(message)
    await reading
    assert.deepEqual(
      seen,
      Array.from({ length: 30 }, (_, i) => i + 1),
    )
  })

  it('reads to the newest and ends without follow', async () => {
    await unit.schedule(await aMessage(item))
    const seen: number[] = []
    for await (const { assignment } of unit.read(process, { from: 0 as Nonce })) seen.push(assignment.nonce)
    assert.deepEqual(seen, [0, 1])
    await assert.rejects(
      unit
        .read(anId<ProcessId>('nobody'), { from: 0 as Nonce })
        [Symbol.asyncIterator]()
        .next(),
      {
        code: 'UNKNOWN_PROCESS',
      },
    )
  })

  it('refuses one follower too many and takes it once another has left', async () => {
    await unit.stop()
    hub = new MemoryGossipHub()
    unit = await start({ maxFollowers: 1 })
    const range = { from: 0 as Nonce, follow: true }
    const first = unit.read(process, range)[Symbol.asyncIterator]()
    await first.next()
    await assert.rejects(unit.read(process, range)[Symbol.asyncIterator]().next(), { code: 'OVERLOADED' })
    await first.return?.()
    assert.equal((await unit.read(process, range)[Symbol.asyncIterator]().next()).done, false)
  })

  it('ends followers and refuses messages when it stops', async () => {
    const range = { from: 1 as Nonce, follow: true }
    const next = unit.read(process, range)[Symbol.asyncIterator]().next()
    await new Promise(resolve => setImmediate(resolve))
    await unit.stop()
    await assert.rejects(next, { code: 'STOPPING' })
    await assert.rejects(unit.schedule(await aMessage(item)), { code: 'STOPPING' })
  })
})

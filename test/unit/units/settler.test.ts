import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { AoError } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import type { PreparedTx } from '../../../src/ports/settlement.ts'
import type { ScheduledMessage } from '../../../src/protocol/assignment.ts'
import { unpackBundle } from '../../../src/protocol/bundle.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { Id } from '../../../src/protocol/ids.ts'
import { MemoryAssignmentLog, MemorySettlementStore } from '../../../src/storage/memory.ts'
import { planBundle } from '../../../src/units/settler/bundler.ts'
import { defaultSettlerOptions, Settler, type SettlerOptions } from '../../../src/units/settler/settler.ts'
import { aProcess, messages, schedule } from '../../support/builders.ts'
import { TestClock } from '../../support/eventually.ts'

const startAt = 1_700_000_000_000

/** Counts what is sent and refuses when told to. */
class WatchedArweave extends MemoryArweave {
  readonly posted: PreparedTx[] = []
  failing: 'no' | 'prepare' | 'post' = 'no'

  override async prepare(bundle: Uint8Array): Promise<PreparedTx> {
    if (this.failing === 'prepare') throw new AoError('SETTLEMENT_FAILED', 'no funds')
    return super.prepare(bundle)
  }

  override async post(tx: PreparedTx): Promise<void> {
    if (this.failing === 'post') throw new AoError('PEER_UNREACHABLE', 'gateway is down')
    this.posted.push(tx)
    await super.post(tx)
  }
}

describe('units/settler', () => {
  let clock: TestClock
  let log: MemoryAssignmentLog
  let store: MemorySettlementStore
  let arweave: WatchedArweave
  let rows: ScheduledMessage[]

  const aSettler = (options: Partial<SettlerOptions> = {}) =>
    new Settler(
      { log, store, arweave, clock, telemetry: silentTelemetry },
      { ...defaultSettlerOptions, confirmations: 3, ...options },
    )
  const isOnArweave = async ({ assignment, message }: ScheduledMessage): Promise<boolean> =>
    (await arweave.item(assignment.id as Id)) !== undefined &&
    (await arweave.item((message as DataItem).id)) !== undefined

  beforeEach(async () => {
    clock = new TestClock(startAt)
    log = new MemoryAssignmentLog()
    store = new MemorySettlementStore()
    arweave = new WatchedArweave({ clock })
    const item = await aProcess()
    rows = await schedule(item, await messages(item, 9), { startAt })
    await log.append(rows)
  })

  it('brings every entry to Arweave: message and assignment, in order', async () => {
    const settler = aSettler()
    clock.advance(60_000)
    await settler.tick()
    const [tx] = arweave.posted
    assert.ok(tx)
    const ids = unpackBundle(tx.payload.subarray(32)).map(({ id }) => id)
    assert.deepEqual(
      ids,
      rows.flatMap(({ assignment, message }) => [message?.id, assignment.id]),
    )
    for (const row of rows) assert.ok(await isOnArweave(row))
  })

  it('waits for company until the oldest entry is old enough', async () => {
    const settler = aSettler()
    clock.advance(59_999)
    await settler.tick()
    assert.deepEqual(await settler.status(), { unsettled: 10, open: 0, settled: 0, lastBundle: undefined })
    clock.advance(1)
    await settler.tick()
    assert.equal((await settler.status()).open, 1)
  })

  it('counts a bundle as settled only at its confirmation depth', async () => {
    const settler = aSettler({ maxAgeMs: 0 })
    await settler.tick()
    arweave.mine()
    await settler.tick()
    assert.equal((await settler.status()).lastBundle?.state, 'seen')
    arweave.mine()
    await settler.tick()
    assert.equal((await settler.status()).settled, 0)
    arweave.mine()
    await settler.tick()
    const { unsettled, open, settled, lastBundle } = await settler.status()
    assert.deepEqual({ unsettled, open, settled }, { unsettled: 0, open: 0, settled: 10 })
    assert.deepEqual([lastBundle?.from, lastBundle?.to, lastBundle?.blockHeight], [1, 10, 1_500_001])
  })

  it('posts exactly the same bytes again when a bundle vanished, and not before a while', async () => {
    const settler = aSettler({ maxAgeMs: 0 })
    await settler.tick()
    const [tx] = arweave.posted
    assert.ok(tx)
    arweave.drop(tx.id)
    await settler.tick()
    assert.equal(arweave.posted.length, 1, 'at once')
    clock.advance(60_000)
    await settler.tick()
    assert.deepEqual(arweave.posted, [tx, tx])
    arweave.drop(tx.id)
    clock.advance(59_000)
    await settler.tick()
    assert.equal(arweave.posted.length, 2, 'the second pause is longer')
    clock.advance(61_000)
    await settler.tick()
    assert.equal(arweave.posted.length, 3)
  })

  it('posts again after a fork took a bundle out of its block', async () => {
    const settler = aSettler({ maxAgeMs: 0 })
    await settler.tick()
    arweave.mine()
    await settler.tick()
    const [tx] = arweave.posted
    assert.ok(tx)
    arweave.drop(tx.id)
    clock.advance(60_000)
    await settler.tick()
    for (let i = 0; i < 3; i++) arweave.mine()
    await settler.tick()
    assert.equal((await settler.status()).settled, 10)
  })

  it('loses nothing when the gateway refuses for a while', async () => {
    const settler = aSettler({ maxAgeMs: 0 })
    arweave.failing = 'prepare'
    await assert.rejects(settler.tick(), { code: 'SETTLEMENT_FAILED' })
    assert.equal((await settler.status()).unsettled, 10)
    arweave.failing = 'post'
    await settler.tick()
    assert.equal((await settler.status()).lastBundle?.state, 'prepared')
    arweave.failing = 'no'
    await settler.tick()
    for (const row of rows) assert.ok(await isOnArweave(row))
    assert.equal(new Set(arweave.posted.map(({ id }) => id)).size, 1)
  })

  it('goes on where it was after a crash between any two steps', async () => {
    clock.advance(1_000)
    for (const crashAt of ['store.add', 'arweave.post', 'store.update'] as const) {
      for (const when of ['before', 'after'] as const) {
        log = new MemoryAssignmentLog()
        await log.append(rows)
        store = new MemorySettlementStore()
        arweave = new WatchedArweave({ clock })
        const plan = { maxAgeMs: 0, maxItems: 4 }
        const crash = crashOnce(crashAt, when, store, arweave)
        await aSettler(plan)
          .tick()
          .catch(() => undefined)
        assert.ok(crash.crashed, `${crashAt} was not reached`)
        for (let i = 0; i < 4; i++) {
          await aSettler(plan).tick() // a new settler over the same store: nothing lives in memory
          arweave.mine()
        }
        await aSettler(plan).tick()
        const where = `crash ${when} ${crashAt}`
        assert.deepEqual([(await aSettler(plan).status()).settled, await store.cursor()], [10, 10], where)
        for (const row of rows) assert.ok(await isOnArweave(row), where)
        const carried = [...new Map(arweave.posted.map(tx => [tx.id, tx])).values()]
        const entries = carried.flatMap(tx => unpackBundle(tx.payload.subarray(32)))
        assert.equal(entries.length, 20, `${where}: an entry was posted in two bundles`)
      }
    }
  })

  it('keeps the number of open bundles bounded, and takes up the rest as they settle', async () => {
    const settler = aSettler({ maxAgeMs: 0, maxItems: 2, maxOpen: 2 })
    await settler.tick()
    assert.equal((await settler.status()).open, 2)
    for (let i = 0; i < 12; i++) {
      arweave.mine()
      await settler.tick()
    }
    assert.equal((await settler.status()).settled, 10)
  })
})

describe('units/settler/bundler', () => {
  it('cuts at the limits and gives a huge entry a bundle of its own', async () => {
    const item = await aProcess({ data: 'x'.repeat(5_000) })
    const rows = await schedule(item, await messages(item, 4), { startAt })
    const entries = rows.map((scheduled, i) => ({ position: i + 1, scheduled }))
    const limits = { maxBytes: 2_500, maxItems: 3, maxAgeMs: 1_000 }
    assert.deepEqual(spanOf(planBundle(entries, limits, startAt)), [1, 1])
    assert.deepEqual(spanOf(planBundle(entries.slice(1), limits, startAt)), [2, 4])
    assert.equal(planBundle(entries.slice(4), limits, startAt), undefined)
    assert.deepEqual(spanOf(planBundle(entries.slice(4), limits, startAt + 2_000)), [5, 5])
    assert.equal(planBundle([], limits, startAt), undefined)
  })
})

const spanOf = (plan: { from: number; to: number } | undefined) => plan && [plan.from, plan.to]

/** The next call of that step fails once, before or after it had its effect. */
function crashOnce(
  step: 'store.add' | 'arweave.post' | 'store.update',
  when: 'before' | 'after',
  store: MemorySettlementStore,
  arweave: WatchedArweave,
): { crashed: boolean } {
  const state = { crashed: false }
  const [object, method] = step === 'arweave.post' ? [arweave, 'post'] : [store, step.slice('store.'.length)]
  const target = object as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
  const original = target[method]?.bind(object)
  if (original === undefined) throw new TypeError(step)
  target[method] = async (...args) => {
    state.crashed = true
    if (when === 'after') await original(...args)
    target[method] = original
    throw new Error('crash')
  }
  return state
}

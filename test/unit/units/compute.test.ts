import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { AoError } from '../../../src/lib/errors.ts'
import { type Logger, silentLogger, silentTelemetry } from '../../../src/lib/telemetry.ts'
import { MemoryGossipHub } from '../../../src/network/memory-gossip.ts'
import type { ResultStore } from '../../../src/ports/result-store.ts'
import type { NonceRange, Scheduler } from '../../../src/ports/units.ts'
import type { ScheduledMessage } from '../../../src/protocol/assignment.ts'
import { parseAttestation } from '../../../src/protocol/attestation.ts'
import { type DataItem, verifyDataItem } from '../../../src/protocol/data-item.ts'
import type { Id, MessageId, ModuleId, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { parseAoItem } from '../../../src/protocol/message.ts'
import { testnetParams } from '../../../src/protocol/params.ts'
import { outboxRoot } from '../../../src/protocol/result.ts'
import { MemoryResultStore } from '../../../src/storage/memory.ts'
import { ComputeUnit, type ComputeUnitOptions, defaultComputeUnitOptions } from '../../../src/units/compute/compute.ts'
import { noState } from '../../../src/units/compute/replay.ts'
import { aMessage, anId, aProcess, messages, processIdOf, schedule, testSigner } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { aScriptModule, recorder, type Script, ScriptPool } from '../../support/script-vm.ts'

/** A schedule to read from, as honest as its rows. */
class Rows implements Scheduler {
  rows: ScheduledMessage[]
  reads: NonceRange[] = []
  stalled = false

  constructor(rows: ScheduledMessage[]) {
    this.rows = rows
  }

  async schedule(): Promise<never> {
    throw new AoError('NOT_READY', 'this schedule is only read')
  }
  async assignment(process: ProcessId, at: Id | Nonce | 'newest') {
    const row =
      at === 'newest'
        ? this.rows.at(-1)
        : this.rows.find(({ assignment }) => assignment.nonce === at || assignment.message === at)
    if (row === undefined) throw new AoError('UNKNOWN_MESSAGE', 'not ordered', { process })
    return row.assignment
  }
  async process(): Promise<DataItem> {
    return this.rows[0]?.message as DataItem
  }
  async *read(_process: ProcessId, range: NonceRange) {
    this.reads.push(range)
    if (this.stalled) await new Promise(() => undefined)
    yield* this.rows.slice(range.from, (range.to ?? this.rows.length) + 1)
  }
}

const chatty: Script = (state, message) => ({
  state: Number(state ?? 0) + 1,
  answer: {
    Messages: [{ Target: 'x', Anchor: '', Tags: [], Data: String(message['Data']) }],
    Output: { from: message['From'] ?? null },
  },
})
const failing: Script = (_state, message) => ({
  state: 'broken',
  answer: message['Data'] === 'bad' ? { Error: 'it broke' } : { Output: 'fine' },
})

describe('units/compute', () => {
  let arweave: MemoryArweave
  let hub: MemoryGossipHub
  let pool: ScriptPool
  let results: ResultStore
  let item: DataItem
  let process: ProcessId
  let su: Rows
  let unit: ComputeUnit
  const units: ComputeUnit[] = []
  const errors: string[] = []
  const log: Logger = { ...silentLogger, error: event => errors.push(event) }

  const aUnit = (options: Partial<ComputeUnitOptions> = {}): ComputeUnit => {
    const ao = parseAoItem(item)
    assert.ok(ao.type === 'Process')
    const route = { item, spec: ao.spec }
    const routes = {
      scheduler: async () => su,
      process: async (id: ProcessId) => {
        if (id === process) return route
        throw new AoError('UNKNOWN_PROCESS', 'nobody knows it')
      },
    }
    const started = new ComputeUnit(
      {
        ...{ signer: testSigner('cu'), routes, results, pool, arweave, params: testnetParams },
        ...{ gossip: hub.join(`cu${units.length}`), telemetry: { ...silentTelemetry, log } },
      },
      { ...defaultComputeUnitOptions, ...options },
    )
    units.push(started)
    return started
  }
  const arrange = async (
    script: string,
    following: (item: DataItem) => Promise<DataItem[]>,
    tags = {},
  ): Promise<void> => {
    const module = await aScriptModule(script)
    await arweave.upload(module)
    item = await aProcess({ module: module.id as Id as ModuleId, ...tags })
    process = processIdOf(item)
    su = new Rows(await schedule(item, await following(item)))
    unit = aUnit()
  }
  const at = (nonce: number): Nonce => nonce as Nonce

  beforeEach(() => {
    arweave = new MemoryArweave()
    hub = new MemoryGossipHub()
    pool = new ScriptPool({ recorder, chatty, failing })
    results = new MemoryResultStore()
    errors.length = 0
  })
  afterEach(async () => {
    await Promise.all(units.map(started => started.stop()))
    units.length = 0
  })

  it('evaluates the schedule up to what is asked for, each message once and in order', async () => {
    await arrange('recorder', process => messages(process, 5))
    const third = await unit.result(process, at(3))
    assert.deepEqual((third.result.output as { seen: string[] }).seen, ['1984', 'message 1', 'message 2', 'message 3'])
    await Promise.all([unit.result(process, at(5)), unit.result(process, at(4)), unit.result(process, at(5))])
    assert.deepEqual(
      pool.handled.map(message => message['Nonce']),
      [0, 1, 2, 3, 4, 5],
    )
    assert.equal(pool.setups.length, 1)
  })

  it('answers by message id as by nonce', async () => {
    await arrange('recorder', process => messages(process, 3))
    const message = su.rows[2]?.assignment.message
    assert.ok(message)
    assert.equal((await unit.result(process, message)).result.nonce, 2)
    assert.equal((await unit.result(process, message)).result.nonce, 2)
  })

  it('signs what it says, links it to the state before, and tells gossip', async () => {
    await arrange('chatty', process => messages(process, 2))
    const heard: Uint8Array[] = []
    hub.join('peer').subscribe('attestations', async bytes => {
      heard.push(bytes)
      return 'accept'
    })
    const zero = parseAttestation(await verifyDataItem((await unit.result(process, at(0))).attestation))
    const { result, attestation } = await unit.result(process, at(1))
    const one = parseAttestation(await verifyDataItem(attestation))
    assert.equal(one.compute, testSigner('cu').address)
    assert.equal(one.assignment, su.rows[1]?.assignment.id)
    assert.equal(zero.previousStateRoot, noState)
    assert.equal(one.previousStateRoot, zero.stateRoot)
    assert.equal(one.outboxRoot, outboxRoot(result.outbox))
    await eventually('both attestations', () => heard.length === 2)
  })

  it('keeps a failure of the Process as its result, with the state of before', async () => {
    await arrange('failing', async process => [await aMessage(process, { data: 'bad' }), await aMessage(process)])
    const before = await unit.result(process, at(0))
    const bad = await unit.result(process, at(1))
    assert.equal(bad.result.error, 'it broke')
    assert.equal(bad.result.stateRoot, before.result.stateRoot)
    assert.equal((await unit.result(process, at(2))).result.error, undefined)
  })

  it('gives the module what compat.md names: From, Forwarded-By, no shadowing tags, limits', async () => {
    const tags = [
      { name: 'From-Process', value: anId('sender') },
      { name: 'From', value: 'liar' },
      { name: 'Owner', value: 'liar' },
      { name: 'Action', value: 'Ping' },
    ]
    const memory = {
      tags: [
        { name: 'Memory-Limit', value: '4-kb' },
        { name: 'Compute-Limit', value: '99999' },
      ],
    }
    await arrange('recorder', async process => [await aMessage(process, { tags })], memory)
    await unit.result(process, at(1))
    const [boot, message] = pool.handled
    assert.ok(boot && message)
    assert.equal(boot['Target'], process)
    assert.equal(boot['Id'], process)
    assert.equal(message['From'], anId('sender'))
    assert.equal(message['Forwarded-By'], testSigner().address)
    assert.equal(message['Owner'], testSigner().address)
    assert.equal(message['Target'], process)
    const names = (message['Tags'] as { name: string }[]).map(({ name }) => name)
    assert.ok(names.includes('Action') && !names.includes('From') && !names.includes('Owner'), names.join())
    assert.equal(message['Block-Height'], 1_500_000)
    assert.equal('Forwarded-By' in boot, false)
    assert.deepEqual(pool.setups[0]?.limits, { memoryBytes: 4096, gas: 1000n })
  })

  it('says UNKNOWN_MESSAGE, UNKNOWN_PROCESS and UNKNOWN_MODULE for what is not there', async () => {
    await arrange('recorder', process => messages(process, 1))
    await assert.rejects(unit.result(process, at(9)), { code: 'UNKNOWN_MESSAGE' })
    await assert.rejects(unit.result(process, anId<MessageId>('no message')), { code: 'UNKNOWN_MESSAGE' })
    await assert.rejects(unit.result(anId<ProcessId>('nobody'), at(0)), { code: 'UNKNOWN_PROCESS' })
    item = await aProcess()
    process = processIdOf(item)
    su = new Rows(await schedule(item))
    await assert.rejects(aUnit().result(process, at(0)), { code: 'UNKNOWN_MODULE' })
    const notes = await aMessage(item, { data: 'no module' })
    await arweave.upload(notes)
    item = await aProcess({ module: notes.id as Id as ModuleId })
    process = processIdOf(item)
    su = new Rows(await schedule(item))
    await assert.rejects(aUnit().result(process, at(0)), { code: 'UNSUPPORTED_MODULE' })
  })

  it('finds a message that was ordered while it was replaying', async () => {
    await arrange('recorder', process => messages(process, 3))
    const all = su.rows
    su.rows = all.slice(0, 2)
    await assert.rejects(unit.result(process, at(3)), { code: 'UNKNOWN_MESSAGE' })
    su.rows = all
    assert.equal((await unit.result(process, at(3))).result.nonce, 3)
    assert.equal(pool.setups.length, 1, 'replayed from the start')
  })

  describe('trusts no scheduler:', () => {
    const lies: Record<string, (rows: ScheduledMessage[]) => Promise<ScheduledMessage[]>> = {
      'a message left out': async ([a, , c]) => [a, c].filter(row => row !== undefined),
      'another message at a nonce': async ([a, b, c]) => {
        assert.ok(a && b && c)
        return [a, { ...b, message: c.message }, c]
      },
      'a changed message': async ([a, b]) => {
        assert.ok(a && b?.message)
        const raw = Uint8Array.from(b.message.raw)
        raw[raw.length - 1] = (raw[raw.length - 1] ?? 0) ^ 1
        return [a, { ...b, message: { ...b.message, raw } }]
      },
      'no message': async ([a, b]) => {
        assert.ok(a && b)
        return [a, { assignment: b.assignment }]
      },
      'an assignment of another signer': async ([a]) => {
        assert.ok(a?.message)
        return schedule(a.message, await messages(a.message, 2), { scheduler: testSigner('thief') })
      },
      'a forged signer in an honest shell': async ([a]) => {
        assert.ok(a?.message)
        const forged = await schedule(a.message, await messages(a.message, 2), { scheduler: testSigner('thief') })
        const scheduler = testSigner('su').address
        return forged.map(row => ({ ...row, assignment: { ...row.assignment, scheduler } }))
      },
      'a chain that does not link': async ([a, b]) => {
        assert.ok(a?.message && b)
        const other = await schedule(a.message, await messages(a.message, 2), { startAt: 1_700_000_000_500 })
        return [a, b, other[2] as ScheduledMessage]
      },
      'a message of another Process': async ([a]) => {
        assert.ok(a?.message)
        return schedule(a.message, [await aMessage(anId<ProcessId>('other'))])
      },
      'one message at two nonces': async ([a]) => {
        assert.ok(a?.message)
        const [message] = await messages(a.message, 1)
        assert.ok(message)
        return schedule(a.message, [message, message])
      },
    }
    for (const [name, lie] of Object.entries(lies)) {
      it(`refuses ${name}`, async () => {
        await arrange('recorder', process => messages(process, 2))
        const honest = su.rows
        su.rows = await lie(honest)
        const error = await unit.result(process, at(2)).then(
          () => assert.fail('evaluated'),
          (failure: AoError) => failure,
        )
        assert.match(error.code, /INVALID_ASSIGNMENT|INVALID_DATA_ITEM|NONCE_GAP/)
        assert.equal(await results.get(process, at(2)), undefined)
      })
    }

    it('gives up on one that sends nothing', async () => {
      await arrange('recorder', process => messages(process, 1))
      unit = aUnit({ readStallMs: 5 })
      su.stalled = true
      await assert.rejects(unit.result(process, at(1)), { code: 'DEADLINE' })
      su.stalled = false
      assert.equal((await unit.result(process, at(1))).result.nonce, 1)
    })
  })

  it('replays after a restart and says the same; stored answers need no replay', async () => {
    await arrange('recorder', process => messages(process, 3))
    const first = await unit.result(process, at(2))
    const restarted = aUnit()
    assert.deepEqual(await restarted.result(process, at(2)), first)
    assert.equal(pool.setups.length, 1)
    const third = await restarted.result(process, at(3))
    assert.equal((third.result.output as { count: number }).count, 4)
    assert.equal(pool.setups.length, 2)
  })

  it('signs no second statement when a replay gives another state', async () => {
    await arrange('recorder', process => messages(process, 2))
    const said = await unit.result(process, at(1))
    pool.salt = 'another machine'
    const restarted = aUnit()
    await assert.rejects(restarted.result(process, at(2)), { code: 'STORE_CORRUPT' })
    await assert.rejects(restarted.result(process, at(2)), { code: 'STORE_CORRUPT' })
    assert.deepEqual(errors, ['replay diverged'])
    assert.deepEqual(await restarted.result(process, at(1)), said)
    assert.equal(await results.get(process, at(2)), undefined)
  })

  it('notices a scheduler that shows another history after a restart', async () => {
    await arrange('recorder', process => messages(process, 2))
    await unit.result(process, at(1))
    su.rows = await schedule(item, await messages(item, 2), { startAt: 1_700_000_000_500 })
    await assert.rejects(aUnit().result(process, at(2)), { code: 'EQUIVOCATION' })
    assert.deepEqual(errors, ['schedule changed'])
  })

  it('opens anew and replays when the instance was evicted', async () => {
    await arrange('recorder', process => messages(process, 3))
    await unit.result(process, at(1))
    pool.evictAll()
    const { result } = await unit.result(process, at(3))
    assert.equal((result.output as { count: number }).count, 4)
    assert.equal(pool.setups.length, 2)
  })

  it('gives up after a few instances that die', async () => {
    await arrange('recorder', process => messages(process, 1))
    const dead = () => new AoError('NOT_READY', 'the worker died')
    pool.failures = Array.from({ length: 4 }, dead)
    await assert.rejects(unit.result(process, at(1)), { code: 'NOT_READY' })
    assert.equal((await unit.result(process, at(1))).result.nonce, 1)
    assert.equal(pool.live, 1, 'an instance was left open')
  })

  it('shows a result only once it is stored, and replays when storing failed', async () => {
    await arrange('recorder', process => messages(process, 2))
    const put = results.put.bind(results)
    results.put = async () => {
      throw new AoError('LOG_WRITE_FAILED', 'disk full')
    }
    await assert.rejects(unit.result(process, at(1)), { code: 'LOG_WRITE_FAILED' })
    results.put = put
    const { result } = await unit.result(process, at(2))
    assert.equal((result.output as { count: number }).count, 3)
  })

  it('lets a caller leave without stopping the work', async () => {
    await arrange('recorder', process => messages(process, 2))
    const leave = new AbortController()
    const waiting = unit.result(process, at(2), { signal: leave.signal })
    leave.abort()
    await assert.rejects(waiting, { code: 'ABORTED' })
    assert.equal((await unit.result(process, at(2))).result.nonce, 2)
  })

  it('refuses one caller too many', async () => {
    await arrange('recorder', process => messages(process, 2))
    unit = aUnit({ maxWaiting: 1 })
    const first = unit.result(process, at(2))
    await assert.rejects(unit.result(process, at(1)), { code: 'OVERLOADED' })
    assert.equal((await first).result.nonce, 2)
  })

  it('runs a dry-run on the newest state and keeps nothing of it', async () => {
    await arrange('recorder', process => messages(process, 2))
    const message = { owner: 'me', tags: [{ name: 'From', value: 'x' }], data: 'try' }
    const { output } = await unit.dryRun(process, message)
    assert.deepEqual((output as { seen: string[] }).seen, ['1984', 'message 1', 'message 2', 'try'])
    pool.evictAll()
    assert.equal(((await unit.dryRun(process, message)).output as { count: number }).count, 4)
    assert.equal((await results.newest(process))?.result.nonce, 2)
  })

  it('brings a warm Process up to date when told of a new nonce, and no cold one', async () => {
    await arrange('recorder', process => messages(process, 4))
    const newest = su.rows.at(-1)?.assignment
    assert.ok(newest)
    unit.onAssignment(newest)
    assert.equal(su.reads.length, 0)
    await unit.result(process, at(1))
    unit.onAssignment({ ...newest, scheduler: testSigner('stranger').address })
    unit.onAssignment(newest)
    await eventually('the newest result', () => results.get(process, at(4)))
  })

  it('forgets the Process used longest ago when there are too many', async () => {
    await arrange('recorder', process => messages(process, 1))
    unit = aUnit({ maxReplicas: 1 })
    await unit.result(process, at(1))
    const second = await aProcess({ module: (await aScriptModule('recorder')).id as Id as ModuleId, data: 'second' })
    const first = { item, process, su }
    const ao = parseAoItem(second)
    assert.ok(ao.type === 'Process')
    item = second
    process = processIdOf(second)
    su = new Rows(await schedule(second))
    const both = new ComputeUnit(
      {
        ...{ signer: testSigner('cu'), results, pool, arweave, params: testnetParams, telemetry: silentTelemetry },
        gossip: hub.join('both'),
        routes: {
          scheduler: async id => (id === first.process ? first.su : su),
          process: async id => ({ item: id === first.process ? first.item : second, spec: ao.spec }),
        },
      },
      { ...defaultComputeUnitOptions, maxReplicas: 1 },
    )
    units.push(both)
    results = new MemoryResultStore()
    await both.result(process, at(0))
    const before = pool.live
    await both.dryRun(first.process, { owner: 'me', tags: [], data: '' })
    await eventually('the evicted instance to close', () => pool.live === before)
  })
})

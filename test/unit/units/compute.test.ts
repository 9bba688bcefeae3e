import assert from 'node:assert/strict'
import { gunzipSync } from 'node:zlib'
import { systemClock } from '../../../src/lib/clock.ts'
import { AoError } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { parseAttestation } from '../../../src/protocol/attestation.ts'
import { verifyDataItem } from '../../../src/protocol/data-item.ts'
import type { Id, MessageId, ModuleId, ProcessId } from '../../../src/protocol/ids.ts'
import { testnetParams } from '../../../src/protocol/params.ts'
import { outboxRoot } from '../../../src/protocol/result.ts'
import { ComputeUnit } from '../../../src/units/compute/compute.ts'
import { noState } from '../../../src/units/compute/live.ts'
import { defaultComputeUnitOptions } from '../../../src/units/compute/options.ts'
import { aMessage, anId, aProcess, messages, processIdOf, schedule, testSigner } from '../../support/builders.ts'
import { at, computeBench, Rows, specOf } from '../../support/compute-bench.ts'
import { eventually } from '../../support/eventually.ts'

describe('units/compute', () => {
  const bench = computeBench()

  it('evaluates the schedule up to what is asked for, each message once and in order', async () => {
    await bench.arrange('recorder', to => messages(to, 5))
    const third = await bench.unit.result(bench.process, at(3))
    assert.deepEqual((third.result.output as { seen: string[] }).seen, ['1984', 'message 1', 'message 2', 'message 3'])
    await Promise.all([
      bench.unit.result(bench.process, at(5)),
      bench.unit.result(bench.process, at(4)),
      bench.unit.result(bench.process, at(5)),
    ])
    assert.deepEqual(
      bench.pool.handled.map(message => message['Nonce']),
      [0, 1, 2, 3, 4, 5],
    )
    assert.equal(bench.pool.setups.length, 1)
  })

  it('answers by message id as by nonce', async () => {
    await bench.arrange('recorder', to => messages(to, 3))
    const message = bench.su.rows[2]?.assignment.message
    assert.ok(message)
    assert.equal((await bench.unit.result(bench.process, message)).result.nonce, 2)
    assert.equal((await bench.unit.result(bench.process, message)).result.nonce, 2)
  })

  it('signs what it says, links it to the state before, and tells gossip', async () => {
    await bench.arrange('chatty', to => messages(to, 2))
    const heard: Uint8Array[] = []
    bench.hub.join('peer').subscribe('attestations', async bytes => {
      heard.push(bytes)
      return 'accept'
    })
    const zero = parseAttestation(await verifyDataItem((await bench.unit.result(bench.process, at(0))).attestation))
    const { result, attestation } = await bench.unit.result(bench.process, at(1))
    const one = parseAttestation(await verifyDataItem(attestation))
    assert.equal(one.compute, testSigner('cu').address)
    assert.equal(one.assignment, bench.su.rows[1]?.assignment.id)
    assert.equal(zero.previousStateRoot, noState)
    assert.equal(one.previousStateRoot, zero.stateRoot)
    assert.equal(one.outboxRoot, outboxRoot(result.outbox))
    await eventually('both attestations', () => heard.length === 2)
  })

  it('keeps a failure of the Process as its result, with the state of before', async () => {
    await bench.arrange('failing', async to => [await aMessage(to, { data: 'bad' }), await aMessage(to)])
    const before = await bench.unit.result(bench.process, at(0))
    const bad = await bench.unit.result(bench.process, at(1))
    assert.equal(bad.result.error, 'it broke')
    assert.equal(bad.result.stateRoot, before.result.stateRoot)
    assert.equal((await bench.unit.result(bench.process, at(2))).result.error, undefined)
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
    await bench.arrange('recorder', async to => [await aMessage(to, { tags })], memory)
    await bench.unit.result(bench.process, at(1))
    const [boot, message] = bench.pool.handled
    assert.ok(boot && message)
    assert.equal(boot['Target'], bench.process)
    assert.equal(boot['Id'], bench.process)
    assert.equal(message['From'], anId('sender'))
    assert.equal(message['Forwarded-By'], testSigner().address)
    assert.equal(message['Owner'], testSigner().address)
    assert.equal(message['Target'], bench.process)
    const names = (message['Tags'] as { name: string }[]).map(({ name }) => name)
    assert.ok(names.includes('Action') && !names.includes('From') && !names.includes('Owner'), names.join())
    assert.equal(message['Block-Height'], 1_500_000)
    assert.equal('Forwarded-By' in boot, false)
    assert.deepEqual(bench.pool.setups[0]?.limits, { memoryBytes: 4096, gas: 1000n })
  })

  it('refuses a Process that asks for WeaveDrive, and says so, for its state would hang on what is not there', async () => {
    for (const [name, value] of [
      ['Extension', 'WeaveDrive'],
      ['Availability-Type', 'Assignments'],
    ] as const) {
      await bench.arrange('recorder', to => messages(to, 1), { tags: [{ name, value }] })
      await assert.rejects(bench.unit.result(bench.process, at(0)), {
        code: 'UNSUPPORTED_MODULE',
        message: /WeaveDrive/,
      })
    }
    await bench.arrange('recorder', to => messages(to, 1), { tags: [{ name: 'Extension', value: 'wings' }] })
    assert.equal((await bench.unit.result(bench.process, at(0))).result.error, undefined)
  })

  it('says UNKNOWN_MESSAGE, UNKNOWN_PROCESS and UNKNOWN_MODULE for what is not there', async () => {
    await bench.arrange('recorder', to => messages(to, 1))
    await assert.rejects(bench.unit.result(bench.process, at(9)), { code: 'UNKNOWN_MESSAGE' })
    await assert.rejects(bench.unit.result(bench.process, anId<MessageId>('no message')), { code: 'UNKNOWN_MESSAGE' })
    await assert.rejects(bench.unit.result(anId<ProcessId>('nobody'), at(0)), { code: 'UNKNOWN_PROCESS' })
    bench.item = await aProcess()
    bench.process = processIdOf(bench.item)
    bench.su = new Rows(await schedule(bench.item))
    await assert.rejects(bench.aUnit().result(bench.process, at(0)), { code: 'UNKNOWN_MODULE' })
    const notes = await aMessage(bench.item, { data: 'no module' })
    await bench.arweave.upload(notes)
    bench.item = await aProcess({ module: notes.id as Id as ModuleId })
    bench.process = processIdOf(bench.item)
    bench.su = new Rows(await schedule(bench.item))
    await assert.rejects(bench.aUnit().result(bench.process, at(0)), { code: 'UNSUPPORTED_MODULE' })
  })

  it('finds a message that was ordered while it was replaying', async () => {
    await bench.arrange('recorder', to => messages(to, 3))
    const all = bench.su.rows
    bench.su.rows = all.slice(0, 2)
    await assert.rejects(bench.unit.result(bench.process, at(3)), { code: 'UNKNOWN_MESSAGE' })
    bench.su.rows = all
    assert.equal((await bench.unit.result(bench.process, at(3))).result.nonce, 3)
    assert.equal(bench.pool.setups.length, 1, 'replayed from the start')
  })

  it('goes on to what is asked for meanwhile while the disk is busy, as far as it may be ahead of it', async () => {
    await bench.arrange('recorder', to => messages(to, 40))
    bench.unit = bench.aUnit({ maxUnrecorded: 8 })
    await bench.unit.result(bench.process, at(0)) // tells how long a message takes
    const putAll = bench.results.putAll.bind(bench.results)
    const disk = new Promise<void>(resolve => {
      bench.results.putAll = async (...put) => {
        await disk
        return putAll(...put)
      }
      setTimeout(resolve, 100)
    })
    const asked = [bench.unit.result(bench.process, at(2))]
    await eventually('the first two', () => bench.pool.handled.length === 3)
    asked.push(bench.unit.result(bench.process, at(40)))
    await eventually('eight', () => bench.pool.handled.length === 9)
    let isWritten = false
    void disk.then(() => (isWritten = true))
    await new Promise(resolve => setTimeout(resolve, 10))
    assert.equal(bench.pool.handled.length, 9)
    assert.equal(isWritten, false, 'the disk was not slow enough to tell')
    await Promise.all(asked)
    assert.deepEqual(
      bench.pool.handled.map(message => message['Nonce']),
      Array.from({ length: 41 }, (_, nonce) => nonce),
    )
    assert.equal(bench.pool.setups.length, 1)
  })

  it('replays after a restart and says the same; stored answers need no replay', async () => {
    await bench.arrange('recorder', to => messages(to, 3))
    const first = await bench.unit.result(bench.process, at(2))
    const restarted = bench.aUnit()
    assert.deepEqual(await restarted.result(bench.process, at(2)), first)
    assert.equal(bench.pool.setups.length, 1)
    const third = await restarted.result(bench.process, at(3))
    assert.equal((third.result.output as { count: number }).count, 4)
    assert.equal(bench.pool.setups.length, 2)
  })

  it('signs no second statement when a replay gives another state', async () => {
    await bench.arrange('recorder', to => messages(to, 2))
    const said = await bench.unit.result(bench.process, at(1))
    bench.pool.salt = 'another machine'
    const restarted = bench.aUnit()
    await assert.rejects(restarted.result(bench.process, at(2)), { code: 'STORE_CORRUPT' })
    await assert.rejects(restarted.result(bench.process, at(2)), { code: 'STORE_CORRUPT' })
    assert.deepEqual(bench.errors, ['replay-diverged'])
    assert.deepEqual(await restarted.result(bench.process, at(1)), said)
    assert.equal(await bench.results.get(bench.process, at(2)), undefined)
  })

  it('notices a scheduler that shows another history after a restart', async () => {
    await bench.arrange('recorder', to => messages(to, 2))
    await bench.unit.result(bench.process, at(1))
    bench.su.rows = await schedule(bench.item, await messages(bench.item, 2), { startAt: 1_700_000_000_500 })
    await assert.rejects(bench.aUnit().result(bench.process, at(2)), { code: 'EQUIVOCATION' })
    assert.deepEqual(bench.errors, ['schedule-changed'])
  })

  it('opens anew and replays when the instance was evicted', async () => {
    await bench.arrange('recorder', to => messages(to, 3))
    await bench.unit.result(bench.process, at(1))
    bench.pool.evictAll()
    const { result } = await bench.unit.result(bench.process, at(3))
    assert.equal((result.output as { count: number }).count, 4)
    assert.equal(bench.pool.setups.length, 2)
  })

  it('opens what a lost worker held at once, before anybody asks', async () => {
    await bench.arrange('recorder', to => messages(to, 3))
    await bench.unit.result(bench.process, at(2))
    bench.pool.loseAll()
    await eventually('another instance at the same nonce', () => bench.pool.handled.length === 6)
    assert.equal(bench.pool.setups.length, 2)
    const { result } = await bench.unit.result(bench.process, at(3))
    assert.equal((result.output as { count: number }).count, 4)
    assert.equal(bench.pool.setups.length, 2)
  })

  it('gives up after a few instances that die', async () => {
    await bench.arrange('recorder', to => messages(to, 1))
    const dead = () => new AoError('NOT_READY', 'the worker died')
    bench.pool.failures = Array.from({ length: 4 }, dead)
    await assert.rejects(bench.unit.result(bench.process, at(1)), { code: 'NOT_READY' })
    assert.equal((await bench.unit.result(bench.process, at(1))).result.nonce, 1)
    assert.equal(bench.pool.live, 1, 'an instance was left open')
  })

  it('shows a result only once it is stored, and replays when storing failed', async () => {
    await bench.arrange('recorder', to => messages(to, 2))
    const putAll = bench.results.putAll.bind(bench.results)
    bench.results.putAll = async () => {
      throw new AoError('LOG_WRITE_FAILED', 'disk full')
    }
    await assert.rejects(bench.unit.result(bench.process, at(1)), { code: 'LOG_WRITE_FAILED' })
    bench.results.putAll = putAll
    const { result } = await bench.unit.result(bench.process, at(2))
    assert.equal((result.output as { count: number }).count, 3)
  })

  it('lets a caller leave without stopping the work', async () => {
    await bench.arrange('recorder', to => messages(to, 2))
    const leave = new AbortController()
    const waiting = bench.unit.result(bench.process, at(2), { signal: leave.signal })
    leave.abort()
    await assert.rejects(waiting, { code: 'ABORTED' })
    assert.equal((await bench.unit.result(bench.process, at(2))).result.nonce, 2)
  })

  it('refuses one caller too many', async () => {
    await bench.arrange('recorder', to => messages(to, 2))
    bench.unit = bench.aUnit({ maxWaiting: 1 })
    const first = bench.unit.result(bench.process, at(2))
    await assert.rejects(bench.unit.result(bench.process, at(1)), { code: 'OVERLOADED' })
    assert.equal((await first).result.nonce, 2)
  })

  it('runs a dry-run on the newest state and keeps nothing of it', async () => {
    await bench.arrange('recorder', to => messages(to, 2))
    const message = { owner: 'me', tags: [{ name: 'From', value: 'x' }], data: 'try' }
    const { output } = await bench.unit.dryRun(bench.process, message)
    assert.deepEqual((output as { seen: string[] }).seen, ['1984', 'message 1', 'message 2', 'try'])
    bench.pool.evictAll()
    assert.equal(((await bench.unit.dryRun(bench.process, message)).output as { count: number }).count, 4)
    assert.equal((await bench.results.newest(bench.process))?.result.nonce, 2)
  })

  it('takes so many dry-runs at once, which leave the places of other callers free', async () => {
    await bench.arrange('recorder', to => messages(to, 2))
    bench.unit = bench.aUnit({ maxDryRuns: 2, maxWaiting: 2 })
    await bench.unit.result(bench.process, at(1))
    const message = { owner: 'me', tags: [], data: 'try' }
    bench.su.stalled = true
    const leaving = new AbortController()
    const options = { signal: leaving.signal }
    const waiting = [1, 2].map(() => bench.unit.dryRun(bench.process, message, options).catch(error => error.code))
    await assert.rejects(bench.unit.dryRun(bench.process, message), { code: 'OVERLOADED' })
    assert.equal((await bench.unit.result(bench.process, at(1))).result.nonce, 1)
    leaving.abort()
    assert.deepEqual(await Promise.all(waiting), ['ABORTED', 'ABORTED'])
    await assert.rejects(bench.unit.dryRun(bench.process, message, options), { code: 'ABORTED' })
  })

  it('lends so many memories at a time, and takes each back when it is read or its reader goes', async () => {
    await bench.arrange('recorder', to => messages(to, 2))
    bench.unit = bench.aUnit({ maxDumps: 2 })
    const leaving = new AbortController()
    const dump = await bench.unit.memory(bench.process)
    await bench.unit.memory(bench.process, leaving)
    assert.deepEqual([dump.nonce, dump.timestamp], [2, bench.su.rows.at(-1)?.assignment.timestamp])
    await assert.rejects(bench.unit.memory(bench.process), { code: 'OVERLOADED' })
    leaving.abort()
    await bench.unit.memory(bench.process)
    await assert.rejects(bench.unit.memory(bench.process), { code: 'OVERLOADED' })
    const pieces: Uint8Array[] = []
    for await (const piece of dump.gzip) pieces.push(piece)
    assert.equal(gunzipSync(Buffer.concat(pieces)).length, dump.memoryBytes)
    await bench.unit.memory(bench.process)
  })

  it('brings a warm Process up to date when told of a new nonce, and no cold one', async () => {
    await bench.arrange('recorder', to => messages(to, 4))
    const newest = bench.su.rows.at(-1)?.assignment
    assert.ok(newest)
    bench.unit.onAssignment(newest)
    assert.equal(bench.su.reads.length, 0)
    await bench.unit.result(bench.process, at(1))
    bench.unit.onAssignment({ ...newest, scheduler: testSigner('stranger').address })
    bench.unit.onAssignment(newest)
    await eventually('the newest result', () => bench.results.get(bench.process, at(4)))
  })

  it('forgets the Process used longest ago when there are too many', async () => {
    await bench.arrange('recorder', to => messages(to, 1))
    const second = await aProcess({ module: specOf(bench.item).module, data: 'second' })
    const schedules = [bench.su, new Rows(await schedule(second))]
    const items = [bench.item, second]
    const indexOf = (id: ProcessId): number => items.findIndex(item => processIdOf(item) === id)
    const small = new ComputeUnit(
      {
        ...{ signer: testSigner('cu'), results: bench.results, pool: bench.pool, arweave: bench.arweave },
        checkpoints: bench.checkpoints,
        ...{ params: testnetParams, clock: systemClock, telemetry: silentTelemetry, gossip: bench.hub.join('small') },
        routes: {
          scheduler: async id => schedules[indexOf(id)] ?? bench.su,
          process: async id => ({ item: items[indexOf(id)] ?? second, spec: specOf(second) }),
        },
      },
      { ...defaultComputeUnitOptions, maxLive: 1 },
    )
    bench.units.push(small)
    await small.result(processIdOf(second), at(0))
    assert.equal(bench.pool.live, 1)
    await small.result(bench.process, at(1))
    await eventually('the evicted instance to close', () => bench.pool.live === 1)
    assert.equal(bench.pool.setups.length, 2)
    assert.equal((await small.dryRun(processIdOf(second), { owner: 'me', tags: [], data: '' })).error, undefined)
    assert.equal(bench.pool.setups.length, 3, 'the evicted one was opened anew')
  })
})

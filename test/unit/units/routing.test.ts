import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../src/arweave/memory-arweave.ts'
import { AoError, type ErrorCode } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { absentMessenger, absentScheduler } from '../../../src/network/grpc/absent-units.ts'
import type { AttestedResult, Compute, LocalUnits, Scheduler } from '../../../src/ports/units.ts'
import { attestationOf, draftAttestation } from '../../../src/protocol/attestation.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { Address, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { emptyOutbox, type Result } from '../../../src/protocol/result.ts'
import { MemoryRouteStore } from '../../../src/storage/memory.ts'
import { defaultRoutesOptions, Routes } from '../../../src/units/routing/route.ts'
import { RoutedCompute, rendezvous } from '../../../src/units/routing/routed-compute.ts'
import { RoutedMessenger } from '../../../src/units/routing/routed-messenger.ts'
import { RoutedScheduler } from '../../../src/units/routing/routed-scheduler.ts'
import { aMessage, anId, aProcess, processIdOf, schedule, testSigner } from '../../support/builders.ts'
import { TestClock } from '../../support/eventually.ts'
import { aRecord, MemoryNetwork } from '../../support/memory-network.ts'

const fail = (code: ErrorCode) => async (): Promise<never> => {
  throw new AoError(code, `it is ${code}`)
}
/** A scheduler that knows the items given, and counts who asks. */
const knowing = (...items: readonly DataItem[]): Scheduler & { asked: number } => ({
  ...absentScheduler,
  asked: 0,
  schedule: fail('NOT_READY'),
  assignment: fail('UNKNOWN_MESSAGE'),
  async process(id) {
    this.asked++
    const item = items.find(candidate => processIdOf(candidate) === id)
    if (item === undefined) throw new AoError('UNKNOWN_PROCESS', 'not hosted')
    return item
  },
  // biome-ignore lint/correctness/useYield: nothing is read from it
  async *read() {
    throw new AoError('UNKNOWN_PROCESS', 'not hosted')
  },
})

describe('units/routing/route', () => {
  const su = testSigner('su').address
  let network: MemoryNetwork
  let store: MemoryRouteStore
  let arweave: MemoryArweave
  let item: DataItem
  let process: ProcessId

  const aRoutes = (scheduler?: Scheduler, address = testSigner('me').address): Routes =>
    new Routes(
      {
        local: { address, scheduler },
        directory: network,
        remote: network,
        store,
        arweave,
        telemetry: silentTelemetry,
      },
      { ...defaultRoutesOptions, schedulerTimeoutMs: 5 },
    )

  beforeEach(async () => {
    network = new MemoryNetwork()
    store = new MemoryRouteStore()
    arweave = new MemoryArweave()
    item = await aProcess()
    process = processIdOf(item)
  })

  it('finds a Process at its own SU, another SU or on Arweave, and then never asks again', async () => {
    const local = knowing(item)
    assert.equal((await aRoutes(local).process(process)).spec.scheduler, su)
    assert.equal((await store.get(process))?.id, item.id)

    store = new MemoryRouteStore()
    const remote = knowing(item)
    network.join(aRecord(testSigner('empty').address, ['SU']), { scheduler: knowing() })
    network.join(aRecord(su, ['SU']), { scheduler: remote })
    const routes = aRoutes()
    await Promise.all([routes.process(process), routes.process(process)])
    await routes.process(process)
    await aRoutes().process(process)
    assert.equal(remote.asked, 1)

    const settled = await aProcess({ data: 'settled' })
    await arweave.upload(settled)
    assert.equal((await aRoutes().process(processIdOf(settled))).item.id, settled.id)
  })

  it('asks each SU for what it holds itself, so that two that both look never wait for each other', async () => {
    const [a, b] = ['su-a', 'su-b'].map(name => {
      const { address } = testSigner(name)
      const routes = aRoutes(knowing(), address)
      const scheduler = new RoutedScheduler({ routes, directory: network })
      network.join(aRecord(address, ['SU']), { scheduler })
      return scheduler
    })
    assert.ok(a && b)
    const both = await Promise.allSettled([a.process(process), b.process(process)])
    for (const outcome of both) assert.equal(outcome.status === 'rejected' && outcome.reason.facts.unanswered, 0)
    const local = knowing(item)
    network.join(aRecord(su, ['SU']), { scheduler: local })
    assert.equal((await a.process(process)).id, item.id)
    assert.equal((await a.process(process, { here: true })).id, item.id, 'now it holds it')
  })

  it('believes nobody: a wrong or forged item is no answer', async () => {
    const other = await aProcess({ data: 'another' })
    const changed = Uint8Array.from(item.raw)
    changed[changed.length - 1] = 0
    network.join(aRecord(testSigner('liar').address, ['SU']), {
      scheduler: { ...knowing(), process: async () => other },
    })
    network.join(aRecord(testSigner('forger').address, ['SU']), {
      scheduler: { ...knowing(), process: async () => ({ ...item, raw: changed }) },
    })
    const error = await aRoutes()
      .process(process)
      .catch(failure => failure)
    assert.equal(error.code, 'UNKNOWN_PROCESS')
    assert.equal(error.facts.unanswered, 1)
    network.join(aRecord(su, ['SU']), { scheduler: knowing(item) })
    assert.equal((await aRoutes().process(process)).item.id, item.id)
  })

  it('tells a Process that nobody knows from one whose SU does not answer', async () => {
    network.join(aRecord(su, ['SU']), { scheduler: knowing() })
    await assert.rejects(aRoutes().process(process), (error: AoError) => error.facts['unanswered'] === 0)
    network.down.add(su)
    await assert.rejects(aRoutes().process(process), (error: AoError) => error.facts['unanswered'] === 1)
    const message = await aMessage(item)
    await arweave.upload(message)
    network.down.clear()
    const asProcess = message.id as unknown as ProcessId
    await assert.rejects(aRoutes().process(asProcess), (error: AoError) => error.facts['unanswered'] === 0)
  })

  it('leads to the SU that the Scheduler tag names, near or far, and says when it is not there', async () => {
    await store.put(item)
    const local = knowing(item)
    assert.equal(await aRoutes(local, su).scheduler(process), local)
    await assert.rejects(aRoutes(undefined, su).scheduler(process), { code: 'PEER_UNREACHABLE' })
    await assert.rejects(aRoutes().scheduler(process), (error: AoError) => {
      return error.code === 'PEER_UNREACHABLE' && error.facts['scheduler'] === su && error.hint !== undefined
    })
    network.join(aRecord(su, ['SU']), { scheduler: local })
    assert.equal((await (await aRoutes().scheduler(process)).process(process)).id, item.id)
  })

  it('waits a moment for an SU that is just joining', async () => {
    await store.put(item)
    const found = aRoutes().scheduler(process)
    network.join(aRecord(su, ['SU']), { scheduler: knowing(item) })
    assert.equal((await (await found).process(process)).id, item.id)
  })
})

describe('units/routing/routed-compute', () => {
  const process = anId<ProcessId>('process')
  const me = testSigner('me').address
  let network: MemoryNetwork
  let clock: TestClock
  let calls: Address[]

  /** An honest CU, or one that fails or lies. */
  const aCompute = (name: string, behaviour: ErrorCode | 'lies' | 'honest' = 'honest'): Compute => ({
    async result(process, at): Promise<AttestedResult> {
      calls.push(testSigner(name).address)
      if (behaviour !== 'honest' && behaviour !== 'lies') return fail(behaviour)()
      const [row] = await schedule(await aProcess())
      assert.ok(row)
      const nonce = (typeof at === 'number' ? at : 0) as Nonce
      const result: Result = {
        ...{ process, nonce, outbox: emptyOutbox, output: 'true', error: undefined, gasUsed: 1n },
        stateRoot: anId('state'),
        stateNonce: 0 as Nonce,
      }
      const fields = attestationOf(result, {
        assignment: row.assignment,
        module: anId('module'),
        meter: 'none-1',
        previousStateRoot: anId('before'),
      })
      const { raw } = await testSigner(name).sign(draftAttestation(fields))
      return { result: behaviour === 'lies' ? { ...result, output: 'false' } : result, attestation: raw }
    },
    results: fail('NOT_READY'),
    memory: fail('NOT_READY'),
    dryRun: fail('NOT_READY'),
  })
  const join = (name: string, behaviour?: ErrorCode | 'lies'): void =>
    network.join(aRecord(testSigner(name).address, ['CU']), { compute: aCompute(name, behaviour) })
  const routed = (compute?: Compute) =>
    new RoutedCompute(
      { local: { address: me, compute }, directory: network, remote: network, clock },
      { avoidMs: 1_000 },
    )
  const names = ['a', 'b', 'c', 'd']
  const order = (): string[] =>
    rendezvous(
      process,
      names.map(name => ({ name, address: testSigner(name).address })),
    ).map(({ name }) => name)

  beforeEach(() => {
    network = new MemoryNetwork()
    clock = new TestClock()
    calls = []
  })

  it('asks the same CU for a Process, whoever asks and in whatever order they joined', async () => {
    for (const name of names) join(name)
    await routed().result(process, 0 as Nonce)
    network = new MemoryNetwork()
    for (const name of names.toReversed()) join(name)
    await routed().result(process, 1 as Nonce)
    assert.equal(calls.length, 2)
    assert.equal(calls[0], calls[1])
  })

  it('asks first whoever says that it has the Process live, and last whoever does not', async () => {
    for (const name of names) join(name)
    const last = order().at(-1) ?? ''
    const { address } = testSigner(last)
    network.join({ ...aRecord(address, ['CU']), warm: [process.slice(0, 8)] }, { compute: aCompute(last) })
    await routed().result(process, 0 as Nonce)
    assert.deepEqual(calls, [address])
  })

  it('moves only the Processes of a CU that leaves, and spreads them', () => {
    const units = names.map(name => ({ address: testSigner(name).address }))
    const keys = Array.from({ length: 400 }, (_, i) => `process ${i}`)
    const before = keys.map(key => rendezvous(key, units)[0]?.address)
    const gone = units[0]?.address
    const after = keys.map(key => rendezvous(key, units.slice(1))[0]?.address)
    for (const [i, address] of before.entries()) if (address !== gone) assert.equal(after[i], address, keys[i])
    for (const { address } of units) assert.ok(before.filter(owner => owner === address).length > 50, address)
  })

  for (const code of ['PEER_UNREACHABLE', 'NOT_READY', 'STOPPING', 'OVERLOADED', 'DEADLINE'] as const) {
    it(`goes on to the next CU after ${code}, and tells the directory`, async () => {
      const [first = '', ...rest] = order()
      join(first, code)
      for (const name of rest) join(name)
      assert.equal((await routed().result(process, 3 as Nonce)).result.nonce, 3)
      assert.equal(calls.length, 2)
      assert.deepEqual(network.reports, [
        { address: calls[0], outcome: 'failed' },
        { address: calls[1], outcome: 'ok' },
      ])
    })
  }

  for (const code of ['INVALID_ARGUMENT', 'NOT_ALLOWED', 'UNKNOWN_MESSAGE'] as const) {
    it(`does not ask another CU after ${code}`, async () => {
      for (const name of names) join(name, code)
      await assert.rejects(routed().result(process, 3 as Nonce), { code })
      assert.equal(calls.length, 1)
    })
  }

  it('does not believe a CU that answers what it did not sign', async () => {
    const [first = '', ...rest] = order()
    join(first, 'lies')
    for (const name of rest) join(name)
    assert.equal((await routed().result(process, 3 as Nonce)).result.output, 'true')
    assert.equal(calls.length, 2)
  })

  it('asks a CU that just failed last, and first again after a while', async () => {
    const [first = '', second = ''] = order()
    for (const name of names) join(name)
    network.down.add(testSigner(first).address)
    const compute = routed()
    await compute.result(process, 0 as Nonce)
    network.down.clear()
    await compute.result(process, 0 as Nonce)
    clock.advance(1_001)
    await compute.result(process, 0 as Nonce)
    assert.deepEqual(
      calls,
      [second, second, first].map(name => testSigner(name).address),
    )
  })

  it('stops when the caller leaves', async () => {
    for (const name of names) join(name, 'OVERLOADED')
    await assert.rejects(routed().result(process, 0 as Nonce, { signal: AbortSignal.abort() }), { code: 'ABORTED' })
    assert.equal(calls.length, 0)
  })

  it('uses its own CU without the network, and says when there is none at all', async () => {
    await assert.rejects(routed().result(process, 0 as Nonce), { code: 'PEER_UNREACHABLE' })
    assert.equal((await routed(aCompute('me')).result(process, 0 as Nonce)).result.nonce, 0)
    assert.deepEqual(network.reports, [])
  })
})

describe('units/routing/routed-messenger', () => {
  it('takes its own MU first, goes on to others, and follows a message where it was taken', async () => {
    const network = new MemoryNetwork()
    const me = testSigner('me').address
    const [row] = await schedule(await aProcess())
    assert.ok(row?.message)
    const { assignment, message } = row
    const aMessenger = (name: string, behaviour: 'takes' | ErrorCode): NonNullable<LocalUnits['messenger']> => ({
      ...absentMessenger,
      submit: behaviour === 'takes' ? async () => assignment : fail(behaviour),
      crank: fail('NOT_READY'),
      async *follow(process, id) {
        if (behaviour !== 'takes') throw new AoError('UNKNOWN_MESSAGE', 'not here')
        const at = { process, message: id, nonce: 0 as Nonce, depth: 0, at: 0, attempts: 0 }
        yield { ...at, state: 'done', parts: [], reason: name, result: undefined }
      },
    })
    network.join(aRecord(testSigner('mu1').address, ['MU']), { messenger: aMessenger('mu1', 'OVERLOADED') })
    network.join(aRecord(testSigner('mu2').address, ['MU']), { messenger: aMessenger('mu2', 'takes') })
    const deps = { directory: network, remote: network }
    const full = new RoutedMessenger({ ...deps, local: { address: me, messenger: aMessenger('me', 'STOPPING') } })
    assert.equal(await full.submit(message.raw), assignment)
    const seen: (string | undefined)[] = []
    for await (const { reason } of full.follow(assignment.process, assignment.message)) seen.push(reason)
    assert.deepEqual(seen, ['mu2'])
    const own = new RoutedMessenger({ ...deps, local: { address: me, messenger: aMessenger('me', 'takes') } })
    await own.submit(message.raw)
    const ownSeen: (string | undefined)[] = []
    for await (const { reason } of own.follow(assignment.process, assignment.message)) ownSeen.push(reason)
    assert.deepEqual(ownSeen, ['me'])
    const none = new RoutedMessenger({ local: { address: me }, directory: new MemoryNetwork(), remote: network })
    await assert.rejects(none.submit(message.raw), { code: 'PEER_UNREACHABLE' })
    await assert.rejects(none.follow(assignment.process, assignment.message)[Symbol.asyncIterator]().next(), {
      code: 'PEER_UNREACHABLE',
    })
  })
})

import assert from 'node:assert/strict'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { absentScheduler } from '../../../src/network/grpc/absent-units.ts'
import { ChannelPool } from '../../../src/network/grpc/channel-pool.ts'
import { defaultPool, GrpcUnits } from '../../../src/network/grpc/clients.ts'
import { scheduleStreams } from '../../../src/network/grpc/exchange-kinds.ts'
import type { Scheduler } from '../../../src/ports/units.ts'
import type { Assignment } from '../../../src/protocol/assignment.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { Id, ProcessId } from '../../../src/protocol/ids.ts'
import { eventually } from '../../support/eventually.ts'
import { messageItem, newSigner, SmallScheduler, spawnItem, startNode, type TestNode } from './support.ts'

const user = newSigner()

describe('gRPC: the submit stream', () => {
  const signer = newSigner()
  let units: GrpcUnits
  let node: TestNode
  let process: ProcessId
  let honest: SmallScheduler
  /** Messages that arrived, and whether they are kept waiting. */
  let arrived: string[]
  let holding: boolean
  let hold: () => Promise<void>

  beforeEach(async () => {
    units = new GrpcUnits(silentTelemetry)
    honest = new SmallScheduler(signer)
    arrived = []
    holding = false
    hold = async () => undefined
    const scheduler: Scheduler = {
      ...absentScheduler,
      schedule: async (message, { signal } = {}): Promise<Assignment> => {
        arrived.push(message.id)
        if (holding) await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
        await hold()
        return honest.schedule(message)
      },
      assignment: (of, at) => honest.assignment(of, at),
      process: asked => honest.process(asked),
      read: (...asked) => honest.read(...asked),
    }
    node = await startNode({ signer, units: { scheduler }, server: { drainMs: 500 } })
    const spawn = await spawnItem(user, signer)
    process = spawn.id as Id as ProcessId
    await honest.schedule(spawn)
  })
  afterEach(async () => {
    await units.stop()
    await node.server.stop()
  })
  const some = (count: number): Promise<DataItem[]> =>
    Promise.all(Array.from({ length: count }, (_, i) => messageItem(user, process, `m ${i}`)))

  it('gives each of many submissions at once its own answer', async () => {
    const items = await some(300)
    const given = await Promise.all(items.map(item => units.scheduler(node.record).schedule(item)))
    assert.deepEqual(
      given.map(({ message }) => message),
      items.map(({ id }) => id),
    )
    assert.equal(new Set(given.map(({ nonce }) => nonce)).size, 300)
  })

  it('tells a failure to the one it is about, as the unit threw it', async () => {
    const [good] = await some(1)
    assert.ok(good)
    const astray = await messageItem(user, signer.address as string as ProcessId, 'nobody')
    const [one, other] = await Promise.allSettled(
      [good, astray].map(item => units.scheduler(node.record).schedule(item)),
    )
    assert.equal(one?.status, 'fulfilled')
    assert.ok(other?.status === 'rejected')
    assert.deepEqual([other.reason.code, other.reason.hint], ['UNKNOWN_PROCESS', 'Spawn it first.'])
  })

  it('lets a caller go at once, and the others stay', async () => {
    holding = true
    const stop = new AbortController()
    const [one, other] = await some(2)
    assert.ok(one && other)
    const left = assert.rejects(units.scheduler(node.record).schedule(one, { signal: stop.signal }), {
      code: 'ABORTED',
    })
    await eventually('the first to arrive', () => arrived.length === 1)
    holding = false
    stop.abort()
    await left
    assert.equal((await units.scheduler(node.record).schedule(other)).message, other.id)
  })

  it('answers what it took before it stops, and takes nothing more', async () => {
    let release = (): void => undefined
    const held = new Promise<void>(resolve => {
      release = resolve
    })
    hold = () => held
    const [first, second, late] = await some(3)
    assert.ok(first && second && late)
    const taken = [first, second].map(item => units.scheduler(node.record).schedule(item))
    await eventually('both to arrive', () => arrived.length === 2)
    const stopped = node.server.stop()
    const refused = assert.rejects(units.scheduler(node.record).schedule(late), { code: /STOPPING|PEER_UNREACHABLE/ })
    await new Promise(resolve => setTimeout(resolve, 50)) // the late one would be there by now
    release()
    const given = await Promise.all(taken)
    assert.deepEqual(
      given.map(({ message }) => message),
      [first.id, second.id],
    )
    await Promise.all([stopped, refused])
    assert.equal(arrived.length, 2)
  })

  it('tells all who wait for too long when the server stops, and opens another stream to the next one', async () => {
    holding = true
    const waiting = (await some(3)).map(item =>
      assert.rejects(units.scheduler(node.record).schedule(item), { code: 'STOPPING' }),
    )
    await eventually('all to arrive', () => arrived.length === 3)
    await node.server.stop()
    await Promise.all(waiting)
    holding = false
    await node.server.start()
    const record = { ...node.record, grpc: `127.0.0.1:${node.server.port}` }
    const [again] = await some(1)
    assert.ok(again)
    assert.equal((await units.scheduler(record).schedule(again)).message, again.id)
  })

  it('says STOPPING to those who wait when this side stops', async () => {
    holding = true
    const [item] = await some(1)
    assert.ok(item)
    const waiting = assert.rejects(units.scheduler(node.record).schedule(item), { code: 'STOPPING' })
    await eventually('it to arrive', () => arrived.length === 1)
    await units.stop()
    await waiting
  })

  it('gives up after its deadline, refuses one too many, and closes when nobody submits', async () => {
    const pool = new ChannelPool({ ...defaultPool, idleMs: 5 })
    const streams = scheduleStreams(pool, { maxPending: 2, idleMs: 5 })
    const items = await some(3)
    const submit = (item: DataItem, deadlineMs: number) => streams.ask(node.record, item.raw, { deadlineMs })
    const [first, second, third] = items
    assert.ok(first && second && third)
    holding = true
    const late = [first, second].map(item => assert.rejects(submit(item, 100), { code: 'DEADLINE' }))
    await assert.rejects(submit(third, 100), { code: 'OVERLOADED' })
    await Promise.all(late)
    holding = false
    await submit(third, 5_000)
    await eventually('the channel to close', () => pool.size === 0)
    await submit(third, 5_000)
    await pool.close()
  })
})

import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { Client, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { type AbortOptions, raceSignal, sleep } from '../../../src/lib/abort.ts'
import { AoError, hasCode } from '../../../src/lib/errors.ts'
import { type Labels, silentLogger, silentMetrics, silentTelemetry } from '../../../src/lib/telemetry.ts'
import { GrpcUnits } from '../../../src/network/grpc/clients.ts'
import { SchedulerService } from '../../../src/network/grpc/generated/ao/v1/scheduler.ts'
import { pinnedCredentials } from '../../../src/network/grpc/pinned-credentials.ts'
import { fromServiceError } from '../../../src/network/grpc/status.ts'
import type { Compute, DryRunMessage, Messenger, Scheduler } from '../../../src/ports/units.ts'
import type { ScheduledMessage } from '../../../src/protocol/assignment.ts'
import type { Id, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import {
  messageItem,
  newSigner,
  SmallScheduler,
  someId,
  spawnItem,
  startNode,
  type TestNode,
  type TestNodeOptions,
  until,
} from './support.ts'

const process = someId<ProcessId>(1)
const nonce = (n: number): Nonce => n as Nonce

/** A CU that answers nobody: it holds each caller until its signal fires. */
class SilentCompute implements Compute {
  readonly reasons: unknown[] = []
  waiting = 0

  results(process: unknown, query: unknown, options: AbortOptions = {}): Promise<never> {
    return this.result(process, query, options)
  }

  async result(_process: unknown, _at: unknown, { signal }: AbortOptions = {}): Promise<never> {
    this.waiting++
    try {
      return await raceSignal(new Promise<never>(() => undefined), { signal })
    } catch (error) {
      this.reasons.push(error)
      throw error
    } finally {
      this.waiting--
    }
  }

  memory(): Promise<never> {
    return this.result(undefined, undefined)
  }

  dryRun(process: unknown, { data }: DryRunMessage, options: AbortOptions = {}): Promise<never> {
    if (data === held.data) return this.result(process, held, options)
    return Promise.reject(new TypeError('a mistake of ours, with /secret/path'))
  }
}

/** A question that is a call of its own, and that a silent CU holds. */
const held: DryRunMessage = { owner: 'o', tags: [], data: 'hold' }

describe('gRPC: limits and ends', () => {
  const user = newSigner()
  let units: GrpcUnits
  const nodes: TestNode[] = []
  const start = async (options?: TestNodeOptions): Promise<TestNode> => {
    const node = await startNode(options)
    nodes.push(node)
    return node
  }
  beforeEach(() => {
    units = new GrpcUnits(silentTelemetry)
  })
  afterEach(async () => {
    await units.stop()
    for (const { server } of nodes.splice(0)) await server.stop()
  })

  it('tells the unit when its caller gives up', async () => {
    const compute = new SilentCompute()
    const node = await start({ units: { compute } })
    const caller = new AbortController()
    const asking = units.compute(node.record).result(process, nonce(0), { signal: caller.signal })
    await until(() => compute.waiting === 1, 'the call arrives')
    caller.abort()
    await assert.rejects(asking, { code: 'ABORTED' })
    await until(() => compute.reasons.length === 1, 'the unit hears of it')
    assert.ok(hasCode(compute.reasons[0], 'ABORTED'))
  })

  it('tells the unit when the deadline has passed', async () => {
    const compute = new SilentCompute()
    const node = await start({ units: { compute } })
    const hasty = new GrpcUnits(silentTelemetry, { deadlines: { dryRunMs: 150 } })
    await assert.rejects(hasty.compute(node.record).dryRun(process, held), { code: 'DEADLINE' })
    await until(() => compute.reasons.length === 1, 'the unit hears of it')
    assert.ok(hasCode(compute.reasons[0], 'DEADLINE'), String(compute.reasons[0]))
    await hasty.stop()
  })

  it('tells an MU when nobody follows any more', async () => {
    const ends: string[] = []
    const messenger = {
      async *follow(_process: unknown, _message: unknown, { signal }: AbortOptions = {}) {
        yield* []
        await raceSignal(new Promise<never>(() => undefined), { signal }).catch(error =>
          ends.push(AoError.from(error).code),
        )
      },
    } as unknown as Messenger
    const node = await start({ units: { messenger } })
    const caller = new AbortController()
    const remote = units.messenger(node.record)
    const following = remote.follow(process, someId(2), { signal: caller.signal })[Symbol.asyncIterator]()
    const next = assert.rejects(following.next(), { code: 'ABORTED' })
    await new Promise(resolve => setTimeout(resolve, 100))
    caller.abort()
    await next
    await until(() => ends.length === 1, 'the MU hears of it')
    assert.deepEqual(ends, ['ABORTED'])
  })

  it('answers OVERLOADED above its limit of calls, and takes new ones once others have ended', async () => {
    const compute = new SilentCompute()
    const node = await start({ units: { compute }, server: { maxConcurrentCalls: 3 } })
    const callers = Array.from({ length: 3 }, () => new AbortController())
    const remote = units.compute(node.record)
    const asked = callers.map(({ signal }) => remote.dryRun(process, held, { signal }).catch(error => error))
    await until(() => compute.waiting === 3, 'three calls are in')
    await assert.rejects(remote.dryRun(process, held), (error: unknown) => {
      assert.ok(hasCode(error, 'OVERLOADED'))
      assert.equal(error.facts['limit'], 3)
      return true
    })
    assert.equal(compute.waiting, 3)
    for (const caller of callers) caller.abort()
    await Promise.all(asked)
    await until(() => compute.waiting === 0, 'the unit lets go')
    await assert.rejects(remote.dryRun(process, { owner: 'o', tags: [], data: '' }), { code: 'INTERNAL' })
  })

  it('limits streams apart from calls', async () => {
    const node = await start({ server: { maxConcurrentStreams: 1 } })
    const spawn = await node.scheduler.schedule(await spawnItem(user, node.signer))
    const remote = units.scheduler(node.record)
    const follower = remote.read(spawn.process, { from: nonce(0), follow: true })[Symbol.asyncIterator]()
    await follower.next()
    const second = remote.read(spawn.process, { from: nonce(0) })[Symbol.asyncIterator]()
    await assert.rejects(second.next(), { code: 'OVERLOADED' })
    assert.equal((await remote.assignment(spawn.process, 'newest')).nonce, 0)
    await follower.return?.()
    let free = false
    for (let tries = 0; tries < 200 && !free; tries++) {
      const again = remote.read(spawn.process, { from: nonce(0) })[Symbol.asyncIterator]()
      free = await again.next().then(
        () => true,
        () => false,
      )
      await again.return?.()
    }
    assert.ok(free, 'leaving the loop gives the place free')
  })

  it('holds calls back on the client’s side too', async () => {
    const compute = new SilentCompute()
    const node = await start({ units: { compute } })
    const narrow = new GrpcUnits(silentTelemetry, { maxCallsPerChannel: 1 })
    const caller = new AbortController()
    const asked = narrow.compute(node.record).dryRun(process, held, { signal: caller.signal })
    await assert.rejects(narrow.compute(node.record).dryRun(process, held), { code: 'OVERLOADED' })
    caller.abort()
    await assert.rejects(asked, { code: 'ABORTED' })
    await narrow.stop()
  })

  it('keeps only so many channels, and takes the place of an unused one', async () => {
    const compute = new SilentCompute()
    const [a, b] = [await start({ units: { compute } }), await start()]
    const narrow = new GrpcUnits(silentTelemetry, { maxChannels: 1 })
    const unknown = { code: 'UNKNOWN_PROCESS' }
    await assert.rejects(narrow.scheduler(a.record).process(process), unknown)
    await assert.rejects(narrow.scheduler(b.record).process(process), unknown)
    const caller = new AbortController()
    const asked = narrow.compute(a.record).result(process, nonce(0), { signal: caller.signal })
    await assert.rejects(narrow.scheduler(b.record).process(process), { code: 'OVERLOADED' })
    caller.abort()
    await assert.rejects(asked, { code: 'ABORTED' })
    await narrow.stop()
    await assert.rejects(narrow.scheduler(b.record).process(process), { code: 'STOPPING' })
  })

  it('shuts a channel that nobody used for a while, and opens it again when asked', async () => {
    let read: () => number = () => -1
    const metrics = {
      ...silentMetrics,
      gauge: (_name: string, _help: string, get?: () => number) => {
        read = get ?? read
        return { set: () => undefined }
      },
    }
    const brief = new GrpcUnits({ log: silentLogger, metrics }, { idleMs: 20 })
    const node = await start()
    await assert.rejects(brief.scheduler(node.record).process(process), { code: 'UNKNOWN_PROCESS' })
    assert.equal(read(), 1)
    await until(() => read() === 0, 'the channel is closed')
    await assert.rejects(brief.scheduler(node.record).process(process), { code: 'UNKNOWN_PROCESS' })
    await brief.stop()
  })

  it('refuses what is too large, on the way in and on the way out', async () => {
    const honest = new SmallScheduler(newSigner())
    const node = await start({ server: { maxMessageBytes: 64 * 1024 } })
    const spawn = await spawnItem(user, node.signer)
    const aoProcess = spawn.id as Id as ProcessId
    const large = await messageItem(user, aoProcess, Buffer.alloc(80 * 1024))
    await assert.rejects(units.scheduler(node.record).schedule(large), { code: 'TOO_LARGE' })
    await honest.schedule(spawn)
    await node.scheduler.schedule(spawn)
    await node.scheduler.schedule(large)
    const reading = units
      .scheduler(node.record)
      .read(aoProcess, { from: nonce(1) })
      [Symbol.asyncIterator]()
    await assert.rejects(reading.next(), { code: 'TOO_LARGE' })
    const modest = new GrpcUnits(silentTelemetry, { maxMessageBytes: 16 * 1024 })
    await assert.rejects(modest.scheduler(node.record).schedule(large), { code: 'TOO_LARGE' })
    await modest.stop()
  })

  it('answers a request that is no protobuf with INVALID_ARGUMENT', async () => {
    const node = await start()
    const client = rawClient(node)
    for (const method of [SchedulerService.getProcess, SchedulerService.schedule]) {
      const garbage = () => Buffer.from('0affffffff', 'hex')
      const error = await new Promise<ServiceError | null>(resolve =>
        client.makeUnaryRequest(method.path, garbage, bytes => bytes, {}, new Metadata(), resolve),
      )
      assert.equal(error?.code, status.INVALID_ARGUMENT)
      assert.equal(fromServiceError(error).code, 'INVALID_ARGUMENT')
    }
    client.close()
  })

  it('lives on after garbage on its port', async () => {
    const node = await start()
    for (const garbage of ['GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01\x00\xff'.repeat(50), '\0'.repeat(10_000)]) {
      await new Promise<void>(resolve => {
        const socket = connect(node.server.port, '127.0.0.1', () => socket.end(garbage, 'latin1'))
        socket.on('error', () => undefined)
        socket.on('close', () => resolve())
        socket.resume()
      })
    }
    await assert.rejects(units.scheduler(node.record).process(process), { code: 'UNKNOWN_PROCESS' })
  })

  it('works on so many messages of one stream at once, and on all in the end', async () => {
    let working = 0
    let open: () => void = () => undefined
    const gate = new Promise<void>(resolve => {
      open = resolve
    })
    const honest = new SmallScheduler(newSigner())
    const scheduler = {
      schedule: async (...message: Parameters<Scheduler['schedule']>) => {
        working++
        await gate
        return honest.schedule(...message)
      },
    } as unknown as Scheduler
    const node = await start({ units: { scheduler }, server: { maxInFlightPerStream: 5 } })
    const spawn = await spawnItem(user, node.signer)
    const client = rawClient(node)
    const { path, requestSerialize, responseDeserialize } = SchedulerService.scheduleStream
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata())
    for (let tag = 0; tag < 60; tag++) call.write({ tag, item: spawn.raw, more: [], takesMore: false })
    call.end()
    await until(() => working === 5, 'five messages are in')
    await settled(() => working)
    assert.equal(working, 5)
    open()
    let answers = 0
    for await (const _answer of call) answers++
    client.close()
    assert.deepEqual({ answers, working }, { answers: 60, working: 60 })
  })

  it('produces no further ahead than a slow reader reads', async () => {
    const row = await aRow(user)
    let produced = 0
    let closed = false
    const scheduler = {
      read: async function* () {
        try {
          for (; produced < 100_000; produced++) yield row
        } finally {
          closed = true
        }
      },
    } as unknown as Scheduler
    const node = await start({ units: { scheduler } })
    const reading = units.scheduler(node.record).read(row.assignment.process, { from: nonce(0) })
    let read = 0
    for await (const _row of reading) {
      if (++read % 100 === 0) await settled(() => produced)
      // Buffers: 16 rows each side, and the windows of HTTP/2 and the sockets; a row has 2.5 KB.
      assert.ok(produced - read < 2_000, `${produced} rows made for ${read} read`)
      if (read === 500) break
    }
    await until(() => closed, 'leaving the loop ends the unit’s work')
    assert.ok(produced < 3_000, `${produced} rows made for ${read} read`)
  })

  it('breaks off a stream that stands still, but not one that follows', async () => {
    const row = await aRow(user)
    const stuck = {
      read: async function* (_process: unknown, range: { follow?: boolean }, { signal }: AbortOptions) {
        if (range.follow === true) yield row
        await raceSignal(new Promise(() => undefined), { signal })
      },
    } as unknown as Scheduler
    const node = await start({ units: { scheduler: stuck } })
    const hasty = new GrpcUnits(silentTelemetry, { deadlines: { streamIdleMs: 50 } })
    const reading = hasty
      .scheduler(node.record)
      .read(process, { from: nonce(0) })
      [Symbol.asyncIterator]()
    await assert.rejects(reading.next(), { code: 'DEADLINE' })
    const { assignment } = row
    const range = { from: nonce(0), follow: true }
    const following = hasty.scheduler(node.record).read(assignment.process, range)[Symbol.asyncIterator]()
    await following.next()
    const second = following.next().catch(error => error)
    assert.equal(await Promise.race([second, sleep(200).then(() => 'still open')]), 'still open')
    await hasty.stop()
    assert.ok(hasCode(await second, 'STOPPING'))
  })

  it('ends a follower by its own signal, also while rows are on the way', async () => {
    const node = await start()
    const spawn = await spawnItem(user, node.signer)
    const { process } = await node.scheduler.schedule(spawn)
    await node.scheduler.schedule(await messageItem(user, process, 'second row'))
    const remote = units.scheduler(node.record)
    for (const rowsRead of [1, 2]) {
      const caller = new AbortController()
      const range = { from: nonce(0), follow: true }
      const reading = remote.read(process, range, { signal: caller.signal })[Symbol.asyncIterator]()
      for (let i = 0; i < rowsRead; i++) await reading.next()
      await remote.process(process) // its answer came after the rows sent so far
      const next = rowsRead === 2 ? reading.next() : undefined
      caller.abort()
      await assert.rejects(next ?? reading.next(), { code: 'ABORTED' })
    }
  })

  it('finishes open calls when it stops, ends followers with STOPPING, and then is gone', async () => {
    let answer: () => void = () => undefined
    let asked = false
    const honest = new SmallScheduler(newSigner())
    const spawn = await spawnItem(user, newSigner())
    const { process } = await honest.schedule(spawn)
    const slow = {
      process: async () => {
        asked = true
        await new Promise<void>(resolve => {
          answer = resolve
        })
        return spawn
      },
      read: honest.read.bind(honest),
    } as unknown as Scheduler
    const node = await start({ units: { scheduler: slow } })
    const remote = units.scheduler(node.record)
    const open = remote.process(process)
    const follower = remote.read(process, { from: nonce(0), follow: true })[Symbol.asyncIterator]()
    await follower.next()
    await until(() => asked, 'the call is in')
    const next = follower.next()
    const stopped = node.server.stop()
    await assert.rejects(next, { code: 'STOPPING' })
    answer()
    assert.equal((await open).id, spawn.id)
    await stopped
    await assert.rejects(remote.process(process), { code: 'PEER_UNREACHABLE' })
  })

  it('cuts calls that outlast the time to drain', async () => {
    const compute = new SilentCompute()
    const node = await start({ units: { compute }, server: { drainMs: 100 } })
    const open = units.compute(node.record).dryRun(process, held)
    await until(() => compute.waiting === 1, 'the call is in')
    const cut = assert.rejects(open, { code: 'PEER_UNREACHABLE' })
    await node.server.stop()
    await cut
    assert.equal(compute.waiting, 0)
  })

  it('starts again after a stop, and both may be called twice', async () => {
    const node = await start()
    await node.server.start()
    await node.server.stop()
    await node.server.stop()
    assert.throws(() => node.server.port, { code: 'NOT_READY' })
    await node.server.start()
    const record = { ...node.record, grpc: `127.0.0.1:${node.server.port}` }
    await assert.rejects(units.scheduler(record).process(process), { code: 'UNKNOWN_PROCESS' })
  })

  it('says PORT_IN_USE for a taken port and INVALID_CONFIG for a host that is not ours', async () => {
    const node = await start()
    await assert.rejects(startNode({ server: { port: node.server.port } }), (error: unknown) => {
      assert.ok(hasCode(error, 'PORT_IN_USE'))
      assert.deepEqual(error.facts, { host: '127.0.0.1', port: node.server.port })
      assert.ok(error.hint)
      return true
    })
    await assert.rejects(startNode({ server: { host: '192.0.2.1' } }), { code: 'INVALID_CONFIG' })
  })

  it('hides what broke inside from the caller and shows it in the log, and counts every call by its code', async () => {
    const logged: unknown[] = []
    const counted: string[] = []
    const log = { ...silentLogger, error: (event: string, facts?: unknown) => void logged.push([event, facts]) }
    const counter = () => ({
      add: (_value?: number, labels?: Labels) => void counted.push(`${labels?.['method']} ${labels?.['code']}`),
    })
    const telemetry = { log, metrics: { ...silentMetrics, counter } }
    const node = await start({ units: { compute: new SilentCompute() }, telemetry })
    await assert.rejects(
      units.compute(node.record).dryRun(process, { owner: 'o', tags: [], data: '' }),
      (error: unknown) => {
        assert.ok(error instanceof AoError)
        assert.equal(error.code, 'INTERNAL')
        assert.ok(!JSON.stringify([error.message, error.facts]).includes('secret'))
        return true
      },
    )
    assert.match(String((logged as [string, { error: Error }][])[0]?.[1].error), /secret/)
    const spawn = await spawnItem(user, node.signer)
    await units.scheduler(node.record).schedule(spawn) // over a stream that stays open, so not counted yet
    await units.scheduler(node.record).process(spawn.id as Id as ProcessId)
    await assert.rejects(units.scheduler(node.record).process(process), { code: 'UNKNOWN_PROCESS' })
    const expected = ['Compute/DryRun INTERNAL', 'Scheduler/GetProcess OK', 'Scheduler/GetProcess UNKNOWN_PROCESS']
    await until(() => counted.length === 3, 'all calls are counted')
    assert.deepEqual(counted, expected)
  })
})

const rawClient = (node: TestNode): Client =>
  new Client(`127.0.0.1:${node.server.port}`, pinnedCredentials(node.certificate.der), {
    'grpc.ssl_target_name_override': 'aonet',
  })

/** One row that passes all checks, with 2 KB of data. */
async function aRow(user: ReturnType<typeof newSigner>): Promise<ScheduledMessage> {
  const scheduler = new SmallScheduler(newSigner())
  const spawn = await spawnItem(user, newSigner())
  await scheduler.schedule(spawn)
  const message = await messageItem(user, spawn.id as Id as ProcessId, Buffer.alloc(2048))
  return { assignment: await scheduler.schedule(message), message }
}

/** Resolves when the number has stopped growing. */
async function settled(read: () => number): Promise<void> {
  for (let before = -1; before !== read(); ) {
    before = read()
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

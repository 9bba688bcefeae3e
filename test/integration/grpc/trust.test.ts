import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import type { AoError } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { absentScheduler } from '../../../src/network/grpc/absent-units.ts'
import { createCertificate } from '../../../src/network/grpc/certificate.ts'
import { GrpcUnits } from '../../../src/network/grpc/clients.ts'
import { connectNode } from '../../../src/network/grpc/connect.ts'
import type { StoredResult } from '../../../src/ports/result-store.ts'
import type { Compute, Messenger, Scheduler } from '../../../src/ports/units.ts'
import type { Assignment, ScheduledMessage } from '../../../src/protocol/assignment.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { Id, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import type { Signer } from '../../../src/protocol/keys.ts'
import { emptyOutbox, type Result } from '../../../src/protocol/result.ts'
import { tagsOf } from '../../../src/protocol/tags.ts'
import {
  messageItem,
  newSigner,
  SmallCompute,
  SmallMessenger,
  SmallScheduler,
  someId,
  spawnItem,
  startNode,
  type TestNode,
} from './support.ts'

const user = newSigner()
const aoProcess = (spawn: DataItem): ProcessId => spawn.id as Id as ProcessId

describe('gRPC: whom a node believes', () => {
  const units = new GrpcUnits(silentTelemetry)
  const started: TestNode[] = []
  const start = async (options?: Parameters<typeof startNode>[0]): Promise<TestNode> => {
    const node = await startNode(options)
    started.push(node)
    return node
  }
  afterEach(async () => {
    for (const { server } of started.splice(0)) await server.stop()
  })
  after(() => units.stop())

  it('does not talk to a server that shows another certificate than the record', async () => {
    const other = await createCertificate({ commonName: user.address })
    const node = await start({ recordCertificate: other.der })
    await assert.rejects(units.scheduler(node.record).process(someId(1)), (error: Error & { hint?: string }) => {
      assert.match(JSON.stringify(error), /PEER_UNREACHABLE/)
      assert.match(String((error as AoError).facts['reason']), /another certificate than its record/)
      assert.match(error.hint ?? '', /aonet testnet status/)
      return true
    })
  })

  it('calls bytes that are no certificate, or no endpoint, what they are', async () => {
    const { record } = await start()
    const broken = { ...record, certificate: Buffer.from('not a certificate') }
    await assert.rejects(units.scheduler(broken).process(someId(1)), { code: 'INVALID_RECORD' })
    const astray = { ...record, grpc: 'unix:/run/secret.sock' }
    await assert.rejects(units.scheduler(astray).process(someId(1)), { code: 'INVALID_ARGUMENT' })
  })

  it('finds nobody where nobody listens', async () => {
    const node = await start()
    await node.server.stop()
    await assert.rejects(units.scheduler(node.record).process(someId(1)), { code: 'PEER_UNREACHABLE' })
  })

  it('catches an Assignment that another key signed', async () => {
    const node = await start({ units: { scheduler: new SmallScheduler(newSigner()) } })
    const spawn = await spawnItem(user, node.signer)
    const remote = units.scheduler(node.record)
    await assert.rejects(remote.schedule(spawn), { code: 'INVALID_ASSIGNMENT' })
    await assert.rejects(remote.assignment(aoProcess(spawn), 'newest'), { code: 'INVALID_ASSIGNMENT' })
  })

  it('takes the Assignment of the same part of an outbox by another MU, and of nothing else', async () => {
    const signer = newSigner()
    const honest = new SmallScheduler(signer)
    const spawn = await spawnItem(user, signer)
    const process = aoProcess(spawn)
    await honest.schedule(spawn)
    const part = (by: Signer, index: string): Promise<DataItem> =>
      by.sign({
        target: process,
        data: new Uint8Array(1),
        tags: tagsOf(
          ...([
            ['Data-Protocol', 'ao'],
            ['Type', 'Message'],
          ] as const),
          ...([
            ['From-Process', someId(3)],
            ['From-Nonce', '7'],
            ['From-Index', index],
          ] as const),
        ),
      })
    const first = await honest.schedule(await part(user, '0'))
    const scheduler: Scheduler = {
      ...absentScheduler,
      schedule: async () => first,
      assignment: (of, at) => honest.assignment(of, at),
      process: asked => honest.process(asked),
      read: (...asked) => honest.read(...asked),
    }
    const remote = units.scheduler((await start({ signer, units: { scheduler } })).record)
    assert.equal((await remote.schedule(await part(newSigner(), '0'))).id, first.id)
    await assert.rejects(remote.schedule(await part(newSigner(), '1')), { code: 'INVALID_ASSIGNMENT' })
    await assert.rejects(remote.schedule(await messageItem(user, process, 'm')), { code: 'INVALID_ASSIGNMENT' })
  })

  it('catches answers about another message, another Process and another item', async () => {
    const signer = newSigner()
    const honest = new SmallScheduler(signer)
    const [spawn, otherSpawn] = [await spawnItem(user, signer), await spawnItem(newSigner(), signer)]
    const [one, other] = [await honest.schedule(spawn), await honest.schedule(otherSpawn)]
    const message = await messageItem(user, aoProcess(spawn), 'm')
    const second = await honest.schedule(message)
    const lying = (answer: Assignment, rows: readonly ScheduledMessage[]): Scheduler => ({
      ...absentScheduler,
      schedule: async () => answer,
      assignment: async () => answer,
      process: async () => otherSpawn,
      read: async function* () {
        yield* rows
      },
    })
    const swapped = [{ assignment: one, message }]
    const elsewhere = [{ assignment: other, message: otherSpawn }]
    for (const [answer, rows] of [
      [one, swapped],
      [other, elsewhere],
    ] as const) {
      const node = await start({ signer, units: { scheduler: lying(answer, rows) } })
      const remote = units.scheduler(node.record)
      await assert.rejects(remote.schedule(message), { code: 'INVALID_ASSIGNMENT' })
      await assert.rejects(remote.assignment(aoProcess(spawn), second.nonce), { code: 'INVALID_ASSIGNMENT' })
      await assert.rejects(remote.process(aoProcess(spawn)), { code: 'INVALID_DATA_ITEM' })
      const reading = remote.read(aoProcess(spawn), { from: 0 as Nonce })[Symbol.asyncIterator]()
      await assert.rejects(reading.next(), { code: 'INVALID_ASSIGNMENT' })
      const submitting = await start({ signer, units: { messenger: new SmallMessenger(lying(answer, rows)) } })
      await assert.rejects(units.messenger(submitting.record).submit(message.raw), { code: 'INVALID_ASSIGNMENT' })
    }
  })

  it('catches bytes in the place of an Assignment', async () => {
    const assignment = { raw: Buffer.from('nothing signed') } as unknown as Assignment
    const messenger = { submit: async () => assignment } as unknown as Messenger
    const scheduler = { schedule: async () => assignment } as unknown as Scheduler
    const node = await start({ units: { messenger, scheduler } })
    const spawn = await spawnItem(user, node.signer)
    await assert.rejects(units.scheduler(node.record).schedule(spawn), { code: 'INVALID_ASSIGNMENT' })
    await assert.rejects(units.messenger(node.record).submit(spawn.raw), { code: 'INVALID_ASSIGNMENT' })
  })

  it('catches a result that its Attestation does not say, field by field', async () => {
    const signer = newSigner()
    const scheduler = new SmallScheduler(signer)
    const spawn = await spawnItem(user, signer)
    await scheduler.schedule(spawn)
    const honest = new SmallCompute(signer, scheduler)
    let forge: (result: Result) => Partial<Result> = () => ({})
    const dishonest: Compute = {
      dryRun: honest.dryRun.bind(honest),
      memory: honest.memory.bind(honest),
      results: honest.results.bind(honest),
      result: async (...at) => {
        const { result, attestation } = await honest.result(at[0], at[1] as Nonce)
        return { result: { ...result, ...forge(result) }, attestation }
      },
    }
    const node = await start({ signer, units: { compute: dishonest } })
    const ask = () => units.compute(node.record).result(aoProcess(spawn), spawn.id)
    assert.equal((await ask()).result.nonce, 0)
    const forgeries: Partial<Result>[] = [
      { stateRoot: someId(77) },
      { gasUsed: 43n },
      { output: { data: 'nonce 1' } },
      { error: 'none of it' },
      { nonce: 1 as Nonce },
      { process: someId<ProcessId>(5) },
      { outbox: emptyOutbox },
    ]
    for (const forgery of forgeries) {
      forge = () => forgery
      await assert.rejects(ask(), { code: 'INVALID_RECORD' }, Object.keys(forgery).join())
    }
  })

  it('catches a page of results that is out of order, too long, or of other Assignments', async () => {
    const signer = newSigner()
    const scheduler = new SmallScheduler(signer)
    const spawn = await spawnItem(user, signer)
    const process = aoProcess(spawn)
    await scheduler.schedule(spawn)
    for (const text of ['a', 'b']) await scheduler.schedule(await messageItem(user, process, text))
    const honest = new SmallCompute(signer, scheduler)
    type Rows = readonly StoredResult[]
    let forge = (rows: Rows): Rows => rows
    const dishonest: Compute = {
      dryRun: honest.dryRun.bind(honest),
      memory: honest.memory.bind(honest),
      result: honest.result.bind(honest),
      results: async (...at) => ({ rows: forge((await honest.results(...at)).rows), hasNext: false }),
    }
    const node = await start({ signer, units: { compute: dishonest } })
    const ask = () => units.compute(node.record).results(process, { descending: false, limit: 2 })
    assert.equal((await ask()).rows.length, 2)
    const forgeries: Record<string, typeof forge> = {
      order: rows => [...rows].reverse(),
      repeat: rows => rows.flatMap(row => [row, row]),
      assignment: rows => rows.map((row, i) => ({ ...row, assignment: rows[1 - i]?.assignment ?? row.assignment })),
      output: rows => rows.map(row => ({ ...row, result: { ...row.result, output: 'else' } })),
    }
    for (const [what, forgery] of Object.entries(forgeries)) {
      forge = forgery
      await assert.rejects(ask(), { code: 'INVALID_RECORD' }, what)
    }
  })

  it('catches an Attestation of another key, and a result of another nonce', async () => {
    const scheduler = new SmallScheduler(newSigner())
    const spawn = await spawnItem(user, newSigner())
    await scheduler.schedule(spawn)
    const stranger = await start({ units: { compute: new SmallCompute(newSigner(), scheduler) } })
    const asking = units.compute(stranger.record).result(aoProcess(spawn), 0 as Nonce)
    await assert.rejects(asking, { code: 'INVALID_RECORD' })

    const signer = newSigner()
    const honest = new SmallCompute(signer, scheduler)
    const stuck: Compute = {
      dryRun: honest.dryRun,
      memory: honest.memory,
      results: honest.results,
      result: process => honest.result(process, 0 as Nonce),
    }
    const node = await start({ signer, units: { compute: stuck } })
    await assert.rejects(units.compute(node.record).result(aoProcess(spawn), 1 as Nonce), { code: 'INVALID_RECORD' })
  })

  describe('connecting by endpoint alone', () => {
    const at = (node: TestNode): string => `127.0.0.1:${node.server.port}`

    it('learns who answers, and has working units', async () => {
      const node = await start()
      const connection = await connectNode(at(node))
      assert.equal(connection.record.address, node.signer.address)
      assert.deepEqual(connection.info, {
        version: '0.1.0',
        network: 'testnet',
        arweave: 'http://127.0.0.1:4000',
        status: { processes: 1 },
      })
      const spawn = await spawnItem(user, node.signer)
      assert.equal((await connection.units.messenger.submit(spawn.raw)).nonce, 0)
      assert.equal((await connection.units.scheduler.assignment(aoProcess(spawn), 'newest')).nonce, 0)
      assert.equal((await connection.units.compute.result(aoProcess(spawn), spawn.id)).result.nonce, 0)
      assert.deepEqual(
        (await connection.listUnits()).map(record => record.address),
        [node.signer.address],
      )
      await connection.close()
    })

    it('accepts the expected node and no other', async () => {
      const node = await start()
      await (await connectNode(`${node.signer.address}@${at(node)}`)).close()
      await assert.rejects(connectNode(`${user.address}@${at(node)}`), { code: 'UNAUTHENTICATED' })
      await assert.rejects(connectNode(at(node), { expectedAddress: user.address }), { code: 'UNAUTHENTICATED' })
    })

    it('is not taken in by who relays the record of another', async () => {
      const honest = await createCertificate({ commonName: user.address })
      const between = await start({ recordCertificate: honest.der })
      await assert.rejects(connectNode(at(between)), { code: 'UNAUTHENTICATED' })
    })

    it('says PEER_UNREACHABLE and what to do, where nobody listens, nobody speaks TLS, or nobody answers', async () => {
      const node = await start()
      const gone = at(node)
      await node.server.stop()
      const unreachable = (error: { code?: string; hint?: string }): boolean => {
        assert.equal(error.code, 'PEER_UNREACHABLE')
        assert.match(error.hint ?? '', /aonet testnet status/)
        return true
      }
      await assert.rejects(connectNode(gone), unreachable)
      for (const greet of [true, false]) {
        const plain = createServer(socket => {
          socket.on('error', () => undefined)
          if (greet) socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
        })
        await new Promise<void>(resolve => plain.listen(0, '127.0.0.1', resolve))
        const { port } = plain.address() as AddressInfo
        await assert.rejects(connectNode(`127.0.0.1:${port}`, { timeoutMs: 200 }), unreachable)
        plain.close()
      }
      await assert.rejects(connectNode('nonsense'), { code: 'INVALID_ARGUMENT' })
    })

    it('gives up when the caller does', async () => {
      const node = await start()
      await assert.rejects(connectNode(at(node), { signal: AbortSignal.abort() }), { code: 'ABORTED' })
    })
  })
})

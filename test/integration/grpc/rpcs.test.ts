import assert from 'node:assert/strict'
import { gunzipSync } from 'node:zlib'
import { Client, Metadata } from '@grpc/grpc-js'
import { AoError } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { GrpcUnits } from '../../../src/network/grpc/clients.ts'
import {
  ComputeService,
  FollowResultsRequest,
  type FollowResultsResponse,
} from '../../../src/network/grpc/generated/ao/v1/compute.ts'
import {
  SchedulerService,
  ScheduleStreamRequest,
  type ScheduleStreamResponse,
} from '../../../src/network/grpc/generated/ao/v1/scheduler.ts'
import { pinnedCredentials } from '../../../src/network/grpc/pinned-credentials.ts'
import { fromDetailBytes } from '../../../src/network/grpc/status.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { Id, MessageId, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { decodeResult } from '../../../src/protocol/result.ts'
import { messageItem, newSigner, someId, spawnItem, startNode, type TestNode } from './support.ts'

describe('gRPC: every call between two nodes', () => {
  const user = newSigner()
  const units = new GrpcUnits(silentTelemetry)
  let node: TestNode
  let spawn: DataItem
  let process: ProcessId

  before(async () => {
    node = await startNode()
    spawn = await spawnItem(user, node.signer)
    process = spawn.id as Id as ProcessId
    await units.scheduler(node.record).schedule(spawn)
  })
  after(async () => {
    await units.stop()
    await node.server.stop()
  })

  it('schedules, once and again, with the same Assignment', async () => {
    const scheduler = units.scheduler(node.record)
    const message = await messageItem(user, process, 'one')
    const assignment = await scheduler.schedule(message)
    assert.equal(assignment.message, message.id)
    assert.equal(assignment.scheduler, node.signer.address)
    assert.equal((await scheduler.schedule(message)).id, assignment.id)
    assert.equal((await scheduler.assignment(process, assignment.nonce)).id, assignment.id)
    assert.equal((await scheduler.assignment(process, message.id)).id, assignment.id)
    assert.equal((await scheduler.assignment(process, 'newest')).id, assignment.id)
    assert.deepEqual(Buffer.from((await scheduler.process(process)).raw), Buffer.from(spawn.raw))
  })

  it('reads a schedule in order, with messages, within the range asked for', async () => {
    const scheduler = units.scheduler(node.record)
    for (const text of ['a', 'b', 'c']) await scheduler.schedule(await messageItem(user, process, text))
    const nonces: number[] = []
    for await (const { assignment, message } of scheduler.read(process, { from: 1 as Nonce, to: 3 as Nonce })) {
      assert.equal(message?.id, assignment.message)
      nonces.push(assignment.nonce)
    }
    assert.deepEqual(nonces, [1, 2, 3])
  })

  it('follows a schedule as it grows', async () => {
    const scheduler = units.scheduler(node.record)
    const { nonce } = await scheduler.assignment(process, 'newest')
    const rows = scheduler.read(process, { from: (nonce + 1) as Nonce, follow: true })[Symbol.asyncIterator]()
    for (const text of ['x', 'y']) {
      const message = await messageItem(user, process, text)
      await scheduler.schedule(message)
      const { value } = await rows.next()
      assert.equal(value?.assignment.message, message.id)
    }
    await rows.return?.()
  })

  it('gives a result whose Attestation covers it', async () => {
    const { result, attestation } = await units.compute(node.record).result(process, 0 as Nonce)
    assert.deepEqual(result.output, { data: 'nonce 0' })
    assert.equal(result.gasUsed, 42n)
    assert.equal(result.outbox.messages[0]?.target, process)
    assert.ok(attestation.length > 0)
    assert.equal((await units.compute(node.record).result(process, spawn.id)).result.nonce, 0)
  })

  it('lists results in either order, each attested, and says whether there are more', async () => {
    const compute = units.compute(node.record)
    const { nonce } = await units.scheduler(node.record).assignment(process, 'newest')
    const all = await compute.results(process, { descending: false, limit: 1000 })
    assert.deepEqual(
      all.rows.map(({ result, assignment }) => [result.nonce, assignment.nonce]),
      Array.from({ length: nonce + 1 }, (_, i) => [i, i]),
    )
    assert.equal(all.hasNext, false)
    const newest = await compute.results(process, { descending: true, limit: 2 })
    assert.deepEqual([newest.rows.map(({ result }) => result.nonce), newest.hasNext], [[nonce, nonce - 1], true])
    const asked = { after: { nonce: 1 as Nonce }, to: { timestamp: 5 }, descending: false, limit: 0 }
    await assert.rejects(compute.results(process, asked), { code: 'INVALID_ARGUMENT' })
  })

  it('tells results as they come, from the place where a reader was cut off', async () => {
    const scheduler = units.scheduler(node.record)
    const client = new Client(`127.0.0.1:${node.server.port}`, pinnedCredentials(node.certificate.der), {
      'grpc.ssl_target_name_override': 'aonet',
    })
    const { path, requestSerialize, responseDeserialize } = ComputeService.followResults
    const follow = (afterNonce: number | undefined) => {
      const after = afterNonce === undefined ? undefined : ({ $case: 'afterNonce', value: afterNonce } as const)
      const request = FollowResultsRequest.fromPartial({ process, after })
      const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request)
      const rows = (call as AsyncIterable<FollowResultsResponse>)[Symbol.asyncIterator]()
      return {
        next: async () => decodeResult(Buffer.from((await rows.next()).value?.result ?? [])).nonce,
        leave: () => rows.return?.(),
      }
    }
    try {
      const { nonce } = await scheduler.assignment(process, 'newest')
      const first = follow(nonce - 2)
      assert.deepEqual([await first.next(), await first.next()], [nonce - 1, nonce])
      await scheduler.schedule(await messageItem(user, process, 'seen live'))
      assert.equal(await first.next(), nonce + 1)
      await first.leave()
      await scheduler.schedule(await messageItem(user, process, 'missed'))
      const again = follow(nonce + 1)
      assert.equal(await again.next(), nonce + 2)
      await again.leave()
      const stranger = FollowResultsRequest.fromPartial({ process: someId(9) })
      const refused = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, stranger)
      await assert.rejects((refused as AsyncIterable<unknown>)[Symbol.asyncIterator]().next(), /no such process/)
    } finally {
      client.close()
    }
  })

  it('dry-runs', async () => {
    const message = { owner: 'me', tags: [{ name: 'Action', value: 'Info' }], data: 'hi' }
    const { output, gasUsed } = await units.compute(node.record).dryRun(process, message)
    const seen = { owner: 'me', from: null, id: null, anchor: null, tags: 1, data: 'hi' }
    assert.deepEqual(output, { ...seen, fields: null })
    const fields = { Timestamp: 5, Deep: [{ a: null }] }
    const again = await units.compute(node.record).dryRun(process, { ...message, fields })
    assert.deepEqual(again.output, { ...seen, fields })
    const to = { timestamp: 1_700_000_000_000 }
    const older = await units.compute(node.record).dryRun(process, message, { to })
    assert.deepEqual(older.output, { ...seen, fields: null, to })
    assert.equal(gasUsed, 7n)
  })

  it('gives a memory in pieces, and ends early for who wants no more', async () => {
    const { gzip, ...head } = await units.compute(node.record).memory(process)
    const pieces: Uint8Array[] = []
    for await (const piece of gzip) pieces.push(piece)
    assert.ok(pieces.length > 1)
    assert.equal(gunzipSync(Buffer.concat(pieces)).length, head.memoryBytes)
    const newest = await units.scheduler(node.record).assignment(process, 'newest')
    assert.deepEqual(head, {
      ...{ nonce: newest.nonce, timestamp: newest.timestamp, blockHeight: newest.blockHeight, memoryBytes: 1 << 20 },
    })
    const first = await units.scheduler(node.record).assignment(process, 0 as Nonce)
    assert.equal((await units.compute(node.record).memory(process, { to: first.message })).nonce, 0)
    const leaving = new AbortController()
    const left = await units.compute(node.record).memory(process, leaving)
    leaving.abort()
    await assert.rejects(
      async () => {
        for await (const _ of left.gzip);
      },
      { code: 'ABORTED' },
    )
  })

  it('submits, cranks and follows', async () => {
    const messenger = units.messenger(node.record)
    const message = await messageItem(user, process, 'submitted')
    const assignment = await messenger.submit(message.raw)
    assert.equal(assignment.message, message.id)
    await messenger.crank(process, message.id)
    assert.deepEqual(node.messenger.cranked, [message.id])
    const steps = []
    for await (const step of messenger.follow(process, message.id)) steps.push(step)
    const honest = []
    for await (const step of node.messenger.follow(process, message.id)) honest.push(step)
    assert.deepEqual(steps, honest)
  })

  it('schedules many on one stream, and a bad one does not end it', async () => {
    const client = new Client(`127.0.0.1:${node.server.port}`, pinnedCredentials(node.certificate.der), {
      'grpc.ssl_target_name_override': 'aonet',
    })
    const { path, requestSerialize, responseDeserialize } = SchedulerService.scheduleStream
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata())
    const items = await Promise.all(Array.from({ length: 300 }, (_, i) => messageItem(user, process, `stream ${i}`)))
    for (const [tag, item] of items.entries()) call.write(ScheduleStreamRequest.fromPartial({ tag, item: item.raw }))
    call.write(ScheduleStreamRequest.fromPartial({ tag: 999, item: Buffer.from('garbage') }))
    call.end()
    const outcomes = new Map<number, ScheduleStreamResponse['outcome']>()
    for await (const { tag, outcome } of call as AsyncIterable<ScheduleStreamResponse>) outcomes.set(tag, outcome)
    client.close()
    assert.equal(outcomes.size, 301)
    for (const [tag, item] of items.entries()) {
      assert.equal(outcomes.get(tag)?.$case, 'assignment', `message ${tag}`)
      assert.ok(await node.scheduler.assignment(process, item.id))
    }
    const bad = outcomes.get(999)
    assert.ok(bad?.$case === 'error')
    assert.equal(fromDetailBytes(bad.value)?.code, 'INVALID_DATA_ITEM')
  })

  it('takes many in one message and answers so, but only to who says that it sees them', async () => {
    const client = new Client(`127.0.0.1:${node.server.port}`, pinnedCredentials(node.certificate.der), {
      'grpc.ssl_target_name_override': 'aonet',
    })
    const { path, requestSerialize, responseDeserialize } = SchedulerService.scheduleStream
    // Refused before they are checked, so all answers are ready in one turn.
    const [first, ...more] = Array.from({ length: 40 }, (_, tag) =>
      ScheduleStreamRequest.fromPartial({ tag, item: Buffer.from(`garbage ${tag}`) }),
    )
    assert.ok(first)
    for (const takesMore of [true, false]) {
      const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, new Metadata())
      call.write({ ...first, more, takesMore })
      call.end()
      const answers: ScheduleStreamResponse[] = []
      let received = 0
      for await (const answer of call as AsyncIterable<ScheduleStreamResponse>) {
        received++
        assert.equal(answer.takesMore, true)
        answers.push(answer, ...answer.more)
      }
      assert.equal(new Set(answers.map(({ tag }) => tag)).size, 40)
      for (const { outcome } of answers) {
        assert.ok(outcome?.$case === 'error')
        assert.equal(fromDetailBytes(outcome.value)?.code, 'INVALID_DATA_ITEM')
      }
      assert.equal(received, takesMore ? 1 : 40)
    }
    client.close()
  })

  it('brings a unit’s error back as itself, from calls and from streams', async () => {
    const scheduler = units.scheduler(node.record)
    const known = (error: unknown): boolean => {
      assert.ok(error instanceof AoError)
      assert.equal(error.code, 'UNKNOWN_PROCESS')
      assert.deepEqual(error.facts, { process: someId(8), known: 1 })
      assert.equal(error.hint, 'Spawn it first.')
      return true
    }
    await assert.rejects(scheduler.process(someId(8)), known)
    const rows = scheduler.read(someId<ProcessId>(8), { from: 0 as Nonce })
    await assert.rejects(rows[Symbol.asyncIterator]().next(), known)
  })

  it('refuses arguments that are no ids, and items that nobody signed', async () => {
    const scheduler = units.scheduler(node.record)
    await assert.rejects(scheduler.process('short' as ProcessId), { code: 'INVALID_ARGUMENT' })
    await assert.rejects(scheduler.assignment(process, 'short' as MessageId), { code: 'INVALID_ARGUMENT' })
    const message = await messageItem(user, process, 'true')
    const forged = Buffer.from(message.raw)
    forged[forged.length - 1] = 0
    await assert.rejects(scheduler.schedule({ ...message, raw: forged }), { code: 'INVALID_DATA_ITEM' })
    await assert.rejects(units.messenger(node.record).submit(forged), { code: 'INVALID_DATA_ITEM' })
  })

  it('answers for a unit it does not run with WRONG_UNIT, also on streams', async () => {
    const bare = await startNode({ units: { scheduler: undefined, compute: undefined, messenger: undefined } })
    const wrong = { code: 'WRONG_UNIT' }
    await assert.rejects(units.scheduler(bare.record).schedule(spawn), wrong)
    await assert.rejects(units.compute(bare.record).result(process, 0 as Nonce), wrong)
    await assert.rejects(units.messenger(bare.record).submit(spawn.raw), wrong)
    const rows = units.messenger(bare.record).follow(process, spawn.id)
    await assert.rejects(rows[Symbol.asyncIterator]().next(), wrong)
    await bare.server.stop()
  })
})

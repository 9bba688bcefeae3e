import assert from 'node:assert/strict'
import { once } from 'node:events'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { absentCompute } from '../../../src/network/grpc/absent-units.ts'
import { ChannelPool } from '../../../src/network/grpc/channel-pool.ts'
import { defaultPool, GrpcUnits } from '../../../src/network/grpc/clients.ts'
import { ComputeService, type ResultStreamResponse } from '../../../src/network/grpc/generated/ao/v1/compute.ts'
import type { Compute } from '../../../src/ports/units.ts'
import type { Id, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { decodeResult } from '../../../src/protocol/result.ts'
import { messageItem, newSigner, SmallCompute, SmallScheduler, spawnItem, startNode, type TestNode } from './support.ts'

const largeBytes = 300_000

describe('gRPC: the stream of results', () => {
  const signer = newSigner()
  let units: GrpcUnits
  let node: TestNode
  let process: ProcessId
  /** How often each nonce was asked for. */
  let asked: Map<number, number>

  beforeEach(async () => {
    units = new GrpcUnits(silentTelemetry)
    asked = new Map()
    const scheduler = new SmallScheduler(signer)
    const small = new SmallCompute(signer, scheduler)
    const compute: Compute = {
      ...absentCompute,
      result: async (of, at) => {
        const { result } = await small.result(of, at as Nonce)
        const { nonce } = result
        asked.set(nonce, (asked.get(nonce) ?? 0) + 1)
        const sized = { ...result, output: nonce === 1 ? 'x'.repeat(largeBytes) : 'small' }
        return { result: sized, attestation: await small.attest(sized, await scheduler.assignment(of, nonce)) }
      },
    }
    node = await startNode({ signer, units: { scheduler, compute } })
    const user = newSigner()
    const spawn = await spawnItem(user, signer)
    process = spawn.id as Id as ProcessId
    await scheduler.schedule(spawn)
    for (const text of ['a', 'b']) await scheduler.schedule(await messageItem(user, process, text))
  })
  afterEach(async () => {
    await units.stop()
    await node.server.stop()
  })

  it('gives a large result by a call of its own, whole, and small ones where they were asked', async () => {
    const compute = units.compute(node.record)
    const [large, small] = await Promise.all([1, 2].map(nonce => compute.result(process, nonce as Nonce)))
    assert.equal(String(large?.result.output).length, largeBytes)
    assert.equal(small?.result.output, 'small')
    assert.deepEqual([asked.get(1), asked.get(2)], [2, 1])
  })

  it('gives all on the stream to a node that knows nothing of calls apart', async () => {
    const pool = new ChannelPool(defaultPool)
    const { path, requestSerialize, responseDeserialize } = ComputeService.resultStream
    const { client, release } = pool.lease(node.record)
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    const at = { $case: 'nonce', value: 1 } as const
    call.write({ tag: 1, question: { process, at }, more: [], takesMore: false, takesApart: false })
    const [{ outcome }] = (await once(call, 'data')) as [ResultStreamResponse]
    assert.ok(outcome?.$case === 'answer')
    assert.equal(String(decodeResult(outcome.value.result).output).length, largeBytes)
    call.end()
    await once(call, 'end')
    release()
    await pool.close()
  })
})

import assert from 'node:assert/strict'
import { parseAttestation } from '../../../src/protocol/attestation.ts'
import { verifyDataItem } from '../../../src/protocol/data-item.ts'
import type { Signer } from '../../../src/protocol/keys.ts'
import { tagsOf } from '../../../src/protocol/tags.ts'
import { MemoryCheckpointStore, MemoryResultStore } from '../../../src/storage/memory.ts'
import { aMessage, anId, messages, schedule, testSigner } from '../../support/builders.ts'
import { at, computeBench } from '../../support/compute-bench.ts'

describe('units/compute: a schedule that repeats messages', () => {
  const bench = computeBench()
  const seen = async (nonce: number): Promise<string[]> =>
    ((await bench.unit.result(bench.process, at(nonce))).result.output as { seen: string[] }).seen
  const errorAt = async (nonce: number): Promise<string | undefined> =>
    (await bench.unit.result(bench.process, at(nonce))).result.error
  const pushed = (data: string, index: number, signer: Signer) =>
    aMessage(bench.process, {
      data,
      signer,
      tags: tagsOf(['From-Process', anId('sender')], ['From-Nonce', '3'], ['From-Index', String(index)]),
    })

  it('gives nothing for a repeat, keeps the state, and goes on', async () => {
    await bench.arrange('recorder', async to => {
      const [one, two, three] = await messages(to, 3)
      assert.ok(one && two && three)
      return [one, two, one, one, three]
    })
    assert.deepEqual(await seen(5), ['1984', 'message 1', 'message 2', 'message 3'])
    for (const nonce of [3, 4]) {
      const { result, attestation } = await bench.unit.result(bench.process, at(nonce))
      assert.equal(result.error, 'repeat of nonce 1')
      assert.deepEqual([result.output, result.gasUsed, result.outbox.messages], ['', 0n, []])
      const before = await bench.unit.result(bench.process, at(nonce - 1))
      assert.equal(result.stateRoot, before.result.stateRoot)
      assert.equal(result.stateNonce, before.result.stateNonce)
      assert.equal(parseAttestation(await verifyDataItem(attestation)).error, 'repeat of nonce 1')
    }
    assert.equal(await bench.results.nonceOf(bench.process, bench.su.rows[3]?.assignment.message ?? anId()), 1)
    assert.deepEqual(bench.errors, ['message-repeated', 'message-repeated'])
  })

  it('says the same whether it ran through, went message by message, or began at a checkpoint', async () => {
    const [mu, other] = [testSigner('mu'), testSigner('another mu')]
    const authority = tagsOf(['Authority', `${mu.address},${other.address}`])
    await bench.arrange('recorder', async () => [], { tags: authority })
    const following = [
      await pushed('part 0', 0, mu),
      await pushed('part 1', 1, mu),
      await pushed('part 0 from another', 0, other),
      await pushed('by a stranger', 0, testSigner('stranger')),
      await aMessage(bench.process, { data: 'the last' }),
    ]
    const late = [following[2], following[4], following[0]].filter(item => item !== undefined)
    bench.su.rows = await schedule(bench.item, [...following, ...late])
    const through = [await seen(5), await errorAt(3), await errorAt(6), await errorAt(7), await errorAt(8)]
    assert.deepEqual(through[0], ['1984', 'part 0', 'part 1', 'by a stranger', 'the last'])
    assert.deepEqual(
      through.slice(1),
      [1, 1, 5, 1].map(first => `repeat of nonce ${first}`),
    )
    const expected = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(n => bench.unit.result(bench.process, at(n))))
    assert.deepEqual(await bench.aUnit().result(bench.process, at(8)), expected[7])

    bench.results = new MemoryResultStore()
    bench.checkpoints = new MemoryCheckpointStore()
    for (const nonce of [1, 2, 3, 4, 5, 6, 7, 8]) {
      bench.unit = bench.aUnit({ notWorthMs: 0 })
      assert.deepEqual(await bench.unit.result(bench.process, at(nonce)), expected[nonce - 1])
      await bench.unit.stop()
    }
    assert.equal(bench.errors.includes('checkpoint-refused'), false)
  })
})

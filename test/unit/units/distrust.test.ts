import assert from 'node:assert/strict'
import type { AoError } from '../../../src/lib/errors.ts'
import type { ScheduledMessage } from '../../../src/protocol/assignment.ts'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import { aMessage, anId, messages, schedule, testSigner } from '../../support/builders.ts'
import { at, computeBench } from '../../support/compute-bench.ts'

describe('units/compute', () => {
  const bench = computeBench()

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
      'a message that is held back and not on Arweave': async ([a, b]) => {
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
    }
    for (const [name, lie] of Object.entries(lies)) {
      it(`refuses ${name}`, async () => {
        await bench.arrange('recorder', to => messages(to, 2))
        const honest = bench.su.rows
        bench.su.rows = await lie(honest)
        const error = await bench.unit.result(bench.process, at(2)).then(
          () => assert.fail('evaluated'),
          (failure: AoError) => failure,
        )
        assert.match(error.code, /INVALID_ASSIGNMENT|INVALID_DATA_ITEM|NONCE_GAP|UNKNOWN_MESSAGE/)
        assert.equal(await bench.results.get(bench.process, at(2)), undefined)
        const isOutOfStep = ['a message left out', 'a chain that does not link'].includes(name)
        assert.deepEqual(bench.broken, isOutOfStep ? [2] : [], 'whoever watches is told')
      })
    }

    it('gives up on one that sends nothing', async () => {
      await bench.arrange('recorder', to => messages(to, 1))
      bench.unit = bench.aUnit({ readStallMs: 5 })
      bench.su.stalled = true
      await assert.rejects(bench.unit.result(bench.process, at(1)), { code: 'DEADLINE' })
      bench.su.stalled = false
      assert.equal((await bench.unit.result(bench.process, at(1))).result.nonce, 1)
    })
  })
})

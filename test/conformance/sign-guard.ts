import assert from 'node:assert/strict'
import type { SignGuard, SignPromise } from '../../src/ports/sign-guard.ts'
import { planAssignment } from '../../src/protocol/assignment.ts'
import type { Nonce, ProcessId } from '../../src/protocol/ids.ts'
import type { Origin } from '../../src/protocol/origin.ts'
import { anId, aProcess, messages, processIdOf } from '../support/builders.ts'

const block = { height: 1_500_000, hash: anId('block'), timestamp: 1 }

/** What every SignGuard promises. `create` gives an empty one, how to open it anew, and how to end with it. */
export function signGuardSuite(
  name: string,
  create: () => Promise<{ guard: SignGuard; again: () => SignGuard; close(): Promise<void> }>,
): void {
  describe(`SignGuard: ${name}`, () => {
    let guard: SignGuard
    let again: () => SignGuard
    let close: () => Promise<void>
    let process: ProcessId
    let promises: readonly SignPromise[]

    before(async () => {
      const item = await aProcess()
      process = processIdOf(item)
      promises = await plansFor(process, [item, ...(await messages(item, 4))])
    })
    beforeEach(async () => {
      ;({ guard, again, close } = await create())
    })
    afterEach(() => close())

    it('knows of nothing at first', async () => {
      assert.deepEqual(await guard.open(), [])
      assert.equal(await guard.floor(process), undefined)
      assert.deepEqual(await guard.floors(), [])
    })

    it('gives back what was promised, whole and in order, also to the next program', async () => {
      const origin = `${process} 3 1` as Origin
      const changed = { 2: { origin }, 3: { message: undefined } } // the latter assigns what is on Arweave already
      const given = promises.map((promise, i) => ({ ...promise, ...changed[i as 2] }))
      await guard.promise(given.slice(2))
      await guard.promise(given.slice(0, 2))
      for (const reader of [guard, again()]) {
        const open = await reader.open()
        assert.deepEqual(
          open.map(({ plan }) => plan),
          promises.map(({ plan }) => plan),
        )
        assert.equal(open[2]?.origin, origin)
        assert.deepEqual(
          open.map(({ message }) => Buffer.from(message?.raw ?? '')),
          given.map(({ message }) => Buffer.from(message?.raw ?? '')),
        )
      }
    })

    it('takes the same promise again, and refuses its place to any other with EQUIVOCATION', async () => {
      await guard.promise(promises)
      await guard.promise(promises)
      const [, one, other] = promises
      assert.ok(one && other)
      const rivals: SignPromise[] = [
        { ...other, plan: { ...other.plan, nonce: one.plan.nonce } },
        { ...one, plan: { ...one.plan, timestamp: one.plan.timestamp + 1 } },
        { ...one, plan: { ...one.plan, blockHeight: one.plan.blockHeight + 1 } },
        { ...one, plan: { ...one.plan, blockHash: anId('another block') } },
      ]
      for (const reader of [guard, again()]) {
        for (const rival of rivals) await assert.rejects(reader.promise([rival]), { code: 'EQUIVOCATION' })
      }
      assert.equal((await guard.open()).length, promises.length)
    })

    it('takes nothing of a batch of which one place is promised otherwise', async () => {
      await guard.promise(promises.slice(0, 2))
      const [, one, other] = promises
      assert.ok(one && other)
      const rival = { ...other, plan: { ...other.plan, nonce: one.plan.nonce } }
      await assert.rejects(guard.promise([...promises.slice(2), rival]), { code: 'EQUIVOCATION' })
      const twice = { ...other, plan: { ...other.plan, message: one.plan.message } }
      await assert.rejects(guard.promise([other, twice]), { code: 'EQUIVOCATION' })
      assert.equal((await guard.open()).length, 2)
      assert.equal((await again().open()).length, 2)
    })

    it('forgets what was released, and the next program with the next write', async () => {
      await guard.promise(promises.slice(0, 2))
      await guard.promise(promises.slice(2, 3))
      guard.release(promises.slice(0, 2))
      assert.deepEqual(nonces(await guard.open()), [2])
      await guard.promise(promises.slice(3))
      assert.deepEqual(nonces(await again().open()), [2, 3, 4])
    })

    it('keeps the highest floor of each Process', async () => {
      const other = anId<ProcessId>('other')
      const floor = (nonce: number, epoch = 0) => ({ process, epoch, nonce: nonce as Nonce })
      await guard.raise([floor(5), { ...floor(1), process: other }])
      await guard.raise([floor(3)])
      for (const reader of [guard, again()]) {
        assert.equal((await reader.floor(process))?.nonce, 5)
        assert.equal((await reader.floor(other))?.nonce, 1)
        assert.equal((await reader.floors()).length, 2)
      }
      await guard.raise([floor(6), floor(4, 1)])
      assert.deepEqual(await again().floor(process), floor(4, 1), 'a later epoch is higher')
    })
  })
}

async function plansFor(
  process: ProcessId,
  items: readonly Awaited<ReturnType<typeof aProcess>>[],
): Promise<readonly SignPromise[]> {
  let previous: SignPromise['plan'] | undefined
  return items.map(message => {
    previous = planAssignment(previous, { process, message: message.id, now: 1_700_000_000_000, block })
    return { plan: previous, message, origin: undefined }
  })
}

const nonces = (promises: readonly SignPromise[]): number[] => promises.map(({ plan }) => plan.nonce)

import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { silentTelemetry } from '../../src/lib/telemetry.ts'
import { SignThread } from '../../src/node/sign-thread.ts'
import { type Assignment, checkFollows, parseAssignment, planAssignment } from '../../src/protocol/assignment.ts'
import { checkedDataItem } from '../../src/protocol/checked-items.ts'
import { verifyDataItem } from '../../src/protocol/data-item.ts'
import type { Address, MessageId, ProcessId } from '../../src/protocol/ids.ts'
import { generateKey, type Signer, signerFromJwk } from '../../src/protocol/keys.ts'
import { signRunsAside } from '../../src/protocol/sign-aside.ts'
import type { Run } from '../../src/protocol/signed-run.ts'
import { anId } from '../support/builders.ts'

/** Places of one Process, after `previous`. */
function aRun(name: string, count: number, previous?: Assignment): Run {
  const process = anId<ProcessId>(name)
  const block = { height: 1_500_000, hash: anId('block'), timestamp: 1_700_000_000_000 }
  const plans = []
  let before: Parameters<typeof planAssignment>[0] = previous
  for (let i = 0; i < count; i++) {
    const message = before === undefined ? (process as string as MessageId) : anId<MessageId>(`${name} ${i}`)
    const exclude = i % 3 === 2 ? ['Data', 'Tags'] : []
    before = planAssignment(before, { process, message, now: 1_700_000_000_000 + i, block, exclude })
    plans.push(before)
  }
  return { previous, plans }
}

describe('node/sign thread', () => {
  const signer: Signer = signerFromJwk(generateKey('ed25519'))
  let thread: SignThread

  beforeEach(async () => {
    thread = new SignThread(silentTelemetry)
    await thread.start()
  })
  afterEach(() => thread.stop())

  const signAll = async (runs: readonly Run[]): Promise<readonly (readonly Assignment[])[]> => {
    assert.ok(signer.signRuns)
    return signer.signRuns(runs)
  }

  it('signs the same bytes as the main thread, whatever Processes a batch is of', async () => {
    const runs = [aRun('a', 9), aRun('b', 1), aRun('c', 14)]
    const beside = await signAll(runs)
    const later = await signAll(runs.map(({ plans }, i) => aRun('abc'[i] ?? '', 4, beside[i]?.[plans.length - 1])))
    await thread.stop()
    const here = await signAll(runs)
    assert.deepEqual(beside, here)
    for (const [i, { plans }] of runs.entries()) {
      let previous: Assignment | undefined
      for (const { raw } of [...(beside[i] ?? []), ...(later[i] ?? [])]) {
        const next = parseAssignment(await verifyDataItem(raw))
        checkFollows(plans[0]?.process as ProcessId, previous, next)
        previous = next
      }
    }
  })

  it('leaves a few to the main thread, and what is of another key than its own', async () => {
    const other = { address: anId('other') as string as Address, key: generateKeyPairSync('ed25519').privateKey }
    assert.equal(signRunsAside(other, [aRun('a', 3)]), undefined)
    await signAll([aRun('a', 12)])
    assert.equal(signRunsAside(other, [aRun('a', 12)]), undefined)
  })

  it('gives bytes that nobody in this program checks again, and that read as what was signed', async () => {
    const [signed = []] = await signAll([aRun('a', 10)])
    for (const assignment of signed) {
      assert.deepEqual(parseAssignment(await checkedDataItem(assignment.raw)), assignment)
    }
  })

  it('fails a batch that cannot be signed, whole, and signs the next', async () => {
    const run = aRun('a', 12)
    const plans = run.plans.map(plan => ({ ...plan, exclude: Array.from({ length: 200 }, () => 'Data') }))
    await assert.rejects(signAll([{ ...run, plans }]), { code: 'INVALID_DATA_ITEM' })
    assert.equal((await signAll([run]))[0]?.length, 12)
  })

  it('answers what waits when it stops', async () => {
    const waiting = signAll([aRun('a', 12)])
    await Promise.all([assert.rejects(waiting, { code: 'STOPPING' }), thread.stop()])
  })
})

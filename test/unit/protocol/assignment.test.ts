import assert from 'node:assert/strict'
import fc from 'fast-check'
import { AoError } from '../../../src/lib/errors.ts'
import {
  type Assignment,
  type AssignmentFields,
  checkFollows,
  draftAssignment,
  nextAssignment,
  parseAssignment,
} from '../../../src/protocol/assignment.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { MessageId, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { anId, anItem, aProcess, messages, processIdOf, schedule, testSigner } from '../../support/builders.ts'

describe('protocol/assignment', () => {
  let item: DataItem
  let process: ProcessId
  let chain: readonly Assignment[]

  before(async () => {
    item = await aProcess()
    process = processIdOf(item)
    chain = (await schedule(item, await messages(item, 5))).map(({ assignment }) => assignment)
  })

  const check = (assignments: readonly Assignment[]): void => {
    for (const [i, next] of assignments.entries()) checkFollows(process, assignments[i - 1], next)
  }
  const resign = async (fields: AssignmentFields): Promise<Assignment> =>
    parseAssignment(await testSigner('su').sign(draftAssignment(fields)))

  it('reads back what was signed', async () => {
    for (const assignment of chain) {
      assert.deepEqual({ ...(await resign(assignment)), raw: undefined }, { ...assignment, raw: undefined })
    }
  })

  it('accepts an honest schedule', () => {
    check(chain)
  })

  it('catches every single field that a scheduler changes and signs again, at the entry or at the next one', async () => {
    const changes: readonly Partial<AssignmentFields>[] = [
      { process: anId<ProcessId>('other') },
      { message: anId<MessageId>('other') },
      { epoch: 1 },
      { hashChain: anId('other') },
      { timestamp: 1_900_000_000_000 },
      { timestamp: 1 },
      { blockHeight: 1_600_000 },
      { blockHeight: 1 },
      { blockHash: anId('other') },
      { blockTimestamp: 1 },
      { exclude: ['data'] },
      { nonce: 0 as Nonce },
      { nonce: 77 as Nonce },
    ]
    for (const at of [0, 1, 3]) {
      const honest = chain[at]
      assert.ok(honest)
      for (const change of changes) {
        if (Object.entries(change).every(([name, value]) => honest[name as keyof Assignment] === value)) continue
        const forged = await resign({ ...honest, ...change })
        if (forged.id === honest.id) continue // nonce 0 does not name its message: it is the Process
        assert.throws(
          () => check([...chain.slice(0, at), forged, ...chain.slice(at + 1)]),
          (error: unknown) => error instanceof AoError && ['INVALID_ASSIGNMENT', 'NONCE_GAP'].includes(error.code),
          `nonce ${at}, ${JSON.stringify(change)}`,
        )
      }
    }
  })

  it('catches an entry at the tail that goes back in time, height or epoch, with a link that is right', async () => {
    const [before, tail] = [chain[2], chain[3]]
    assert.ok(before && tail)
    for (const change of [{ timestamp: before.timestamp - 1 }, { blockHeight: before.blockHeight - 1 }]) {
      const forged = await resign({ ...tail, ...change })
      assert.throws(() => checkFollows(process, before, forged), { code: 'INVALID_ASSIGNMENT' }, JSON.stringify(change))
    }
    const later = await resign({ ...before, epoch: 1 })
    const fields = nextAssignment(later, {
      process,
      message: tail.message,
      now: 0,
      block: { height: 0, hash: '', timestamp: 0 },
    })
    checkFollows(process, later, await resign(fields))
    const back = await resign({ ...fields, epoch: 0 })
    assert.throws(() => checkFollows(process, later, back), { code: 'INVALID_ASSIGNMENT' })
  })

  it('catches entries left out, doubled, swapped and from another schedule', async () => {
    const other = (await schedule(await aProcess({ data: 'other' }), [])).map(({ assignment }) => assignment)
    const [a, b, c, d] = chain
    assert.ok(a && b && c && d)
    assert.throws(() => check([a, b, d]), { code: 'NONCE_GAP' })
    assert.throws(() => check([b]), { code: 'NONCE_GAP' })
    assert.throws(() => check([a, b, b]), { code: 'INVALID_ASSIGNMENT' })
    assert.throws(() => check([a, c, b]), { code: 'NONCE_GAP' })
    assert.throws(() => check(other), { code: 'INVALID_ASSIGNMENT' })
  })

  it('never goes back in time or height, whatever the clock and the block say', async () => {
    const moment = fc.record({
      now: fc.integer({ min: 0, max: 2_000_000_000_000 }),
      height: fc.integer({ min: 0, max: 2_000_000 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(moment, { minLength: 2, maxLength: 6 }), async moments => {
        let previous: Assignment | undefined
        for (const [i, { now, height }] of moments.entries()) {
          const block = { height, hash: anId(`${height}`), timestamp: height }
          const message = i === 0 ? item.id : anId<MessageId>(`${i}`)
          const next = await resign(nextAssignment(previous, { process, message, now, block }))
          checkFollows(process, previous, next)
          assert.equal(next.blockHash, anId(`${next.blockHeight}`), 'height and hash are of one block')
          previous = next
        }
      }),
      { numRuns: 40 },
    )
  })

  it('says INVALID_ASSIGNMENT for items with other tags, whatever they are', async () => {
    const name = fc.constantFrom(
      'Process',
      'Epoch',
      'Nonce',
      'Hash-Chain',
      'Block-Height',
      'Timestamp',
      'Type',
      'Message',
    )
    const honest = draftAssignment(chain[1] ?? assert.fail()).tags
    await fc.assert(
      fc.asyncProperty(
        name,
        fc.oneof(fc.string(), fc.constantFrom('-1', '1e3', '01', '99999999999999999')),
        async (tag, value) => {
          const tags = honest.map(entry => (entry.name === tag ? { name: tag, value } : entry))
          const odd = await anItem({ tags }, testSigner('su'))
          try {
            parseAssignment(odd)
          } catch (error) {
            assert.ok(error instanceof AoError && error.code === 'INVALID_ASSIGNMENT', String(error))
          }
        },
      ),
      { numRuns: 200 },
    )
    for (const tag of [
      'Process',
      'Epoch',
      'Nonce',
      'Hash-Chain',
      'Block-Height',
      'Timestamp',
      'Type',
      'Data-Protocol',
    ]) {
      const odd = await anItem({ tags: honest.filter(entry => entry.name !== tag) }, testSigner('su'))
      assert.throws(() => parseAssignment(odd), { code: 'INVALID_ASSIGNMENT' }, `without ${tag}`)
    }
  })
})

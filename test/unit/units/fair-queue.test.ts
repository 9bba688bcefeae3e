import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { ProcessId } from '../../../src/protocol/ids.ts'
import { FairQueue } from '../../../src/units/scheduler/fair-queue.ts'
import { anId } from '../../support/builders.ts'

interface Entry {
  readonly process: ProcessId
  readonly bytes: number
  readonly n: number
}

describe('units/scheduler/fair queue', () => {
  const ids = ['hot', 'a', 'b', 'c'].map(name => anId<ProcessId>(name))
  const [hot, a, b] = ids as [ProcessId, ProcessId, ProcessId]
  const limits = { maxPending: 1000, maxPendingPerProcess: 100, maxPendingBytes: 10_000 }
  const entry = (process: ProcessId, n: number, bytes = 1): Entry => ({ process, n, bytes })
  const aQueue = (given: Partial<typeof limits> = {}) => new FairQueue<Entry>({ ...limits, ...given })
  const fill = (queue: FairQueue<Entry>, process: ProcessId, count: number): void => {
    for (let n = 0; n < count; n++) queue.push(entry(process, n))
  }
  const batch = { maxBatch: 8, maxBatchBytes: 1_000 }

  it('lets a quiet Process into the next batch, however much a hot one has waiting', () => {
    const queue = aQueue()
    fill(queue, hot, 100)
    fill(queue, a, 2)
    queue.push(entry(b, 0))
    const taken = queue.take(batch)
    assert.deepEqual(
      count(taken),
      new Map([
        [hot, 5],
        [a, 2],
        [b, 1],
      ] as const),
    )
  })

  it('goes on with whose turn it was when a batch was full', () => {
    const queue = aQueue()
    for (const process of ids) fill(queue, process, 3)
    const order = [1, 2, 3, 4].flatMap(() => queue.take({ ...batch, maxBatch: 3 }).map(({ process }) => process))
    assert.deepEqual(order, [...ids, ...ids, ...ids])
  })

  it('gives every entry once, in the order it came within its Process', () => {
    const push = fc.record({ process: fc.constantFrom(...ids), bytes: fc.integer({ min: 1, max: 400 }) })
    const step = fc.oneof(push, fc.integer({ min: 1, max: 5 }))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const queue = aQueue({ maxPendingBytes: 1e9 })
        const given: Entry[] = []
        const taken: Entry[] = []
        const check = (part: readonly Entry[], maxBatch: number): void => {
          const bytes = part.reduce((sum, one) => sum + one.bytes, 0)
          assert.ok(part.length <= maxBatch && (part.length === 1 || bytes <= 500), `${part.length}, ${bytes} bytes`)
          taken.push(...part)
        }
        for (const step of steps) {
          if (typeof step === 'number') {
            const had = queue.size
            const part = had === 0 ? [] : queue.take({ maxBatch: step, maxBatchBytes: 500 })
            assert.ok(had === 0 || part.length > 0, 'a queue that holds something gives something')
            if (part.length > 0) check(part, step)
          } else {
            const one = { ...step, n: given.length }
            queue.push(one)
            given.push(one)
          }
        }
        while (queue.size > 0) check(queue.take({ maxBatch: 7, maxBatchBytes: 500 }), 7)
        for (const process of ids) {
          const own = (list: readonly Entry[]): number[] => list.filter(e => e.process === process).map(({ n }) => n)
          assert.deepEqual(own(taken), own(given))
        }
      }),
    )
  })

  it('refuses at each limit with OVERLOADED, and takes more once there is room', () => {
    const queue = aQueue({ maxPending: 5, maxPendingPerProcess: 3, maxPendingBytes: 100 })
    fill(queue, hot, 3)
    assert.throws(() => queue.push(entry(hot, 3)), { code: 'OVERLOADED' })
    assert.throws(() => queue.push(entry(a, 0, 98)), { code: 'OVERLOADED' })
    fill(queue, a, 2)
    assert.throws(() => queue.push(entry(b, 0)), { code: 'OVERLOADED' })
    assert.equal(queue.take(batch).length, 5)
    queue.push(entry(a, 0, 5_000))
    assert.equal(queue.take(batch).length, 1, 'one that is larger than all limits goes alone')
  })
})

const count = (entries: readonly Entry[]): Map<ProcessId, number> => {
  const counts = new Map<ProcessId, number>()
  for (const { process } of entries) counts.set(process, (counts.get(process) ?? 0) + 1)
  return counts
}

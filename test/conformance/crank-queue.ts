import assert from 'node:assert/strict'
import type { CrankJob, CrankQueue } from '../../src/ports/crank-queue.ts'
import type { MessageId, Nonce, ProcessId } from '../../src/protocol/ids.ts'
import { anId, testSigner } from '../support/builders.ts'

/** What every CrankQueue promises. */
export function crankQueueSuite(
  name: string,
  create: () => Promise<{ queue: CrankQueue; close(): Promise<void> }>,
): void {
  describe(`CrankQueue: ${name}`, () => {
    let queue: CrankQueue
    let close: () => Promise<void>

    beforeEach(async () => {
      ;({ queue, close } = await create())
    })
    afterEach(() => close())

    it('gives back a job as it was added, with what it leaves undefined', async () => {
      const job = aJob('a', {
        state: 'pushing',
        parts: [
          {
            kind: 'message',
            target: 't',
            state: 'pushed',
            message: anId<MessageId>('m'),
            nonce: 3 as Nonce,
            handedTo: undefined,
            reason: undefined,
          },
          { ...aSpawn, reason: 'no route' },
          { ...aSpawn, handedTo: testSigner('mu2').address, reason: undefined },
        ],
        result: {
          compute: testSigner('cu').address,
          stateRoot: anId('state'),
          outboxRoot: anId('outbox'),
          error: undefined,
        },
      })
      await queue.write({ add: [job] })
      assert.deepEqual(await queue.get(job.process, job.message), job)
      assert.equal(await queue.get(job.process, anId('other')), undefined)
    })

    it('does not add a job that exists, even in the same change', async () => {
      const job = aJob('a')
      await queue.write({ add: [job] })
      await queue.write({ update: [{ ...job, state: 'done' }] })
      await queue.write({ add: [job, aJob('b'), aJob('b', { depth: 9 })] })
      assert.equal((await queue.get(job.process, job.message))?.state, 'done')
      assert.equal((await queue.get(job.process, anId('b')))?.depth, 0)
      assert.equal(await queue.size(), 1)
    })

    it('keeps the bytes of a message beside its job, and forgets them with it', async () => {
      const bytes = Uint8Array.of(1, 2, 3)
      const [first, second] = [{ ...aJob('a'), item: bytes }, aJob('b')]
      await queue.write({ add: [first, second] })
      await queue.write({ update: [{ ...aJob('a'), state: 'done', at: 1 }] })
      assert.deepEqual(Buffer.from((await queue.item(first.process, first.message)) ?? []), Buffer.from(bytes))
      assert.equal(await queue.item(second.process, second.message), undefined)
      assert.deepEqual(
        (await queue.ofProcess(first.process)).map(({ message }) => message).sort(),
        [first, second]
          .filter(job => job.process === first.process)
          .map(({ message }) => message)
          .sort(),
      )
      await queue.purge({ endedBefore: 10, keepAtMost: 100, limit: 100 })
      assert.equal(await queue.item(first.process, first.message), undefined)
    })

    it('lists open jobs only, earliest first, at most the limit', async () => {
      await queue.write({
        add: [aJob('late', { dueAt: 300 }), aJob('soon', { dueAt: 5 }), aJob('mid', { dueAt: 256 }), aJob('over')],
        update: [aJob('over', { state: 'failed', dueAt: 1 })],
      })
      const due = async (limit: number): Promise<number[]> => (await queue.open(limit)).map(job => job.dueAt)
      assert.deepEqual(await due(10), [5, 256, 300])
      assert.deepEqual(await due(2), [5, 256])
      assert.deepEqual(await due(0), [])
      assert.equal(await queue.size(), 3)
    })

    it('lists a job once, at its new time, after an update', async () => {
      await queue.write({ add: [aJob('a', { dueAt: 1 }), aJob('b', { dueAt: 2 })] })
      await queue.write({ update: [aJob('a', { dueAt: 3, attempts: 1, state: 'waiting', reason: 'later' })] })
      assert.deepEqual(
        (await queue.open(10)).map(job => [job.dueAt, job.attempts]),
        [
          [2, 0],
          [3, 1],
        ],
      )
      assert.equal(await queue.size(), 2)
    })

    it('finds all jobs that a root set off, open or not', async () => {
      const root = anId<MessageId>('root')
      await queue.write({ add: [aJob('a', { root }), aJob('b', { root }), aJob('c')] })
      await queue.write({ update: [aJob('a', { root, state: 'done' })] })
      const found = (await queue.ofRoot(root)).map(job => job.state).sort()
      assert.deepEqual(found, ['done', 'queued'])
    })

    it('keeps the count of open jobs right when many write at once', async () => {
      const jobs = Array.from({ length: 40 }, (_, i) => aJob(`job ${i}`))
      await Promise.all(jobs.map(job => queue.write({ add: [job] })))
      await Promise.all(
        jobs.flatMap((job, i) => [
          queue.write({ update: [{ ...job, attempts: 1, dueAt: 5 }] }),
          queue.write({ update: [{ ...job, state: i % 2 === 0 ? 'done' : 'waiting', dueAt: 9 }] }),
        ]),
      )
      assert.equal(await queue.size(), 20)
      assert.equal((await queue.open(100)).length, 20)
    })

    it('counts the jobs of a root up to a limit', async () => {
      const root = anId<MessageId>('root')
      await queue.write({ add: [aJob('a', { root }), aJob('b', { root }), aJob('c', { root }), aJob('d')] })
      await queue.write({ update: [aJob('a', { root, state: 'done' })] })
      assert.equal(await queue.countOfRoot(root, 10), 3)
      assert.equal(await queue.countOfRoot(root, 2), 2)
      assert.equal(await queue.countOfRoot(anId('none'), 2), 0)
    })

    it('forgets ended jobs by age and by number, longest ended first, and never an open one', async () => {
      const names = ['a', 'b', 'c', 'd', 'e', 'f']
      const root = anId<MessageId>('root')
      await queue.write({ add: names.map(name => aJob(name, { root })) })
      await queue.write({
        update: ['d', 'c', 'b', 'a'].map((name, i) => aJob(name, { root, state: 'done', at: i + 1 })),
      })
      await queue.write({ update: [aJob('e', { root, state: 'failed', at: 5 }), aJob('f', { root, at: 0 })] })
      assert.deepEqual([await queue.size(), await queue.ended()], [1, 5])
      const left = async (): Promise<string[]> => {
        const jobs = await queue.ofRoot(root)
        return names.filter(name => jobs.some(({ message }) => message === anId(name)))
      }
      assert.equal(await queue.purge({ endedBefore: 0, keepAtMost: 10, limit: 10 }), 0)
      assert.equal(await queue.purge({ endedBefore: 0, keepAtMost: 4, limit: 10 }), 1)
      assert.deepEqual(await left(), ['a', 'b', 'c', 'e', 'f'])
      assert.equal(await queue.purge({ endedBefore: 4, keepAtMost: 10, limit: 10 }), 2)
      assert.deepEqual(await left(), ['a', 'e', 'f'])
      assert.equal(await queue.purge({ endedBefore: 100, keepAtMost: 0, limit: 1 }), 1)
      assert.deepEqual(await left(), ['e', 'f'])
      assert.equal(await queue.purge({ endedBefore: 100, keepAtMost: 0, limit: 100 }), 1)
      assert.deepEqual([await queue.size(), await queue.ended(), await left()], [1, 0, ['f']])
      assert.equal((await queue.get(anId('process'), anId('f')))?.state, 'queued')
      assert.equal(await queue.get(anId('process'), anId('e')), undefined)
    })

    it('keeps parts as they were signed until their job goes', async () => {
      const [process, a, b] = [anId<ProcessId>('process'), anId<MessageId>('a'), anId<MessageId>('b')]
      await queue.write({ add: [aJob('a'), aJob('b')] })
      await queue.keepSignedPart(process, a, 0, Uint8Array.of(1))
      await queue.keepSignedPart(process, a, 7, Uint8Array.of(2))
      await queue.keepSignedPart(process, b, 0, Uint8Array.of(3))
      const bytes = async (message: MessageId, index: number) => (await queue.signedPart(process, message, index))?.[0]
      assert.deepEqual(
        [await bytes(a, 0), await bytes(a, 7), await bytes(a, 1), await bytes(b, 0)],
        [1, 2, undefined, 3],
      )
      await queue.write({ update: [aJob('a', { state: 'done', at: 1 })] })
      assert.equal(await queue.purge({ endedBefore: 100, keepAtMost: 0, limit: 10 }), 1)
      assert.deepEqual([await bytes(a, 0), await bytes(a, 7), await bytes(b, 0)], [undefined, undefined, 3])
    })

    it('keeps a job that was opened again after it had ended', async () => {
      await queue.write({ add: [aJob('a')] })
      await queue.write({ update: [aJob('a', { state: 'failed', at: 1 })] })
      await queue.write({ update: [aJob('a', { state: 'queued', at: 2 })] })
      assert.deepEqual([await queue.size(), await queue.ended()], [1, 0])
      assert.equal(await queue.purge({ endedBefore: 100, keepAtMost: 0, limit: 10 }), 0)
      assert.equal((await queue.open(10)).length, 1)
    })

    it('shows the jobs of a root as they were at one moment', async () => {
      const root = anId<MessageId>('root')
      const step = (i: number): CrankJob => aJob(`step ${i}`, { root })
      await queue.write({ add: [step(0)] })
      let isWriting = true
      const reading = (async () => {
        for (; isWriting; await new Promise(setImmediate)) {
          const jobs = await queue.ofRoot(root)
          // Each step ends in the change that adds the next: there is always one that is open.
          assert.equal(jobs.filter(({ state }) => state === 'queued').length, 1)
        }
      })()
      const writing = (async () => {
        for (let i = 0; i < 300; i++) {
          await queue.write({ add: [step(i + 1)], update: [{ ...step(i), state: 'done' }], sync: false })
        }
      })()
      await writing.finally(() => {
        isWriting = false
      })
      await reading
    })

    it('takes an empty change as nothing to do', async () => {
      await queue.write({})
      assert.equal(await queue.size(), 0)
    })
  })
}

const aJob = (name: string, fields: Partial<CrankJob> = {}): CrankJob => ({
  process: anId<ProcessId>('process'),
  message: anId<MessageId>(name),
  nonce: 1 as Nonce,
  state: 'queued',
  attempts: 0,
  parts: [],
  reason: undefined,
  root: anId<MessageId>(name),
  depth: 0,
  dueAt: 0,
  at: 0,
  result: undefined,
  ...fields,
})

const aSpawn = {
  ...({ kind: 'spawn', target: '', state: 'waiting', message: undefined, nonce: undefined } as const),
  handedTo: undefined,
}

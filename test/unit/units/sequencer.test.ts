import assert from 'node:assert/strict'
import { AoError } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import type { LogEntry } from '../../../src/ports/assignment-log.ts'
import { type Assignment, checkFollows } from '../../../src/protocol/assignment.ts'
import type { Nonce } from '../../../src/protocol/ids.ts'
import type { Origin } from '../../../src/protocol/origin.ts'
import { MemoryAssignmentLog, MemorySignGuard } from '../../../src/storage/memory.ts'
import { Sequencer, type SequencerOptions } from '../../../src/units/scheduler/sequencer.ts'
import { aMessage, anId, aProcess, messages, processIdOf, testSigner } from '../../support/builders.ts'
import { TestClock } from '../../support/eventually.ts'

const refused = (): AoError => new AoError('LOG_WRITE_FAILED', 'disk full')

/** A log whose writes can be refused, or reported as refused although they reached the disk. */
class FailingLog extends MemoryAssignmentLog {
  failing: 'no' | 'before' | 'after' = 'no'
  batches: number[] = []
  onAppend: () => void = () => undefined
  /** What a write waits for before it is done. */
  disk: Promise<void> = Promise.resolve()

  override async append(batch: readonly LogEntry[]): Promise<void> {
    await this.disk
    if (this.failing === 'before') throw refused()
    await super.append(batch)
    this.batches.push(batch.length)
    this.onAppend()
    if (this.failing === 'after') throw refused()
  }
}

const roomy: SequencerOptions = {
  maxPending: 100,
  maxPendingPerProcess: 100,
  maxPendingBytes: 1e6,
  maxBatch: 100,
  maxBatchBytes: 1e6,
}

describe('units/scheduler/sequencer', () => {
  const signer = testSigner('su')
  let clock: TestClock
  let log: FailingLog
  let guard: MemorySignGuard
  let durable: Assignment[]
  let block = { height: 1_500_000, hash: anId('block') as string, timestamp: 1_700_000_000_000 }

  const aSequencer = (options: Partial<SequencerOptions> = {}, by = signer) =>
    new Sequencer(
      {
        ...{ signer: by, log, guard, clock, telemetry: silentTelemetry, block: () => block },
        onDurable: batch => durable.push(...batch.map(({ assignment }) => assignment)),
      },
      { ...roomy, ...options },
    )
  const aHosted = async (sequencer: Sequencer, name = 'p') => {
    const item = await aProcess({ tags: [{ name: 'Name', value: name }] })
    const process = processIdOf(item)
    await sequencer.append(process, item)
    return process
  }
  const ordered = async (process: ReturnType<typeof processIdOf>): Promise<string[]> => {
    const data: string[] = []
    for await (const { message } of log.read(process, { from: 1 as Nonce })) data.push(String(message?.data))
    return data
  }

  beforeEach(() => {
    clock = new TestClock()
    log = new FailingLog()
    guard = new MemorySignGuard()
    durable = []
    block = { height: 1_500_000, hash: anId('block'), timestamp: 1_700_000_000_000 }
  })

  it('gives nonces without gaps in one linked chain, however many come at once', async () => {
    const sequencer = aSequencer({ maxBatch: 7 })
    const process = await aHosted(sequencer)
    const given = await Promise.all((await messages(process, 40)).map(item => sequencer.append(process, item)))
    assert.deepEqual(
      given.map(({ nonce }) => nonce),
      Array.from({ length: 40 }, (_, i) => i + 1),
    )
    let previous: Assignment | undefined
    for await (const { assignment } of log.read(process, { from: 0 as Nonce })) {
      checkFollows(process, previous, assignment)
      previous = assignment
    }
    assert.equal(previous?.nonce, 40)
  })

  it('writes what comes together in one batch', async () => {
    const sequencer = aSequencer()
    const process = await aHosted(sequencer)
    await Promise.all((await messages(process, 20)).map(item => sequencer.append(process, item)))
    assert.ok(log.batches.length <= 3, `${log.batches.length} writes for 21 messages`)
  })

  it('answers only after the write', async () => {
    const sequencer = aSequencer()
    const process = await aHosted(sequencer)
    let answered = false
    log.onAppend = () => assert.equal(answered, false)
    await sequencer.append(process, await aMessage(process)).then(() => {
      answered = true
    })
    assert.ok(answered)
  })

  it('gives a message one nonce, also when it is sent twice in one batch', async () => {
    const sequencer = aSequencer()
    const process = await aHosted(sequencer)
    const item = await aMessage(process)
    void sequencer.append(process, await aMessage(process, { data: 'keeps the disk busy while the twins queue up' }))
    const [first, second] = await Promise.all([sequencer.append(process, item), sequencer.append(process, item)])
    const third = await sequencer.append(process, item)
    assert.equal(first.id, second.id)
    assert.equal(first.id, third.id)
    assert.equal((await log.tail(process))?.nonce, 2)
  })

  it('gives one part of an outbox one nonce, also when two MUs bring it in one batch', async () => {
    const sequencer = aSequencer()
    const process = await aHosted(sequencer)
    const origin = `${process} 7 0` as Origin
    void sequencer.append(process, await aMessage(process, { data: 'keeps the disk busy while the copies queue up' }))
    const copies = await Promise.all(['mu 1', 'mu 2'].map(name => aMessage(process, { signer: testSigner(name) })))
    const [first, second] = await Promise.all(copies.map(copy => sequencer.append(process, copy, { origin })))
    assert.equal(first?.id, second?.id)
    assert.equal(first?.message, copies[0]?.id)
    assert.equal((await log.tail(process))?.nonce, 2)
  })

  for (const outcome of ['done', 'refused'] as const) {
    it(`answers what comes again while its batch is being written as the first that brought it: ${outcome}`, async () => {
      const sequencer = aSequencer()
      const process = await aHosted(sequencer)
      let free: () => void = () => undefined
      log.disk = new Promise(resolve => {
        free = resolve
      })
      const item = await aMessage(process)
      const copies = await Promise.all(['mu 1', 'mu 2'].map(name => aMessage(process, { signer: testSigner(name) })))
      const origin = `${process} 7 0` as Origin
      const [first, part] = [item, copies[0] ?? item]
      const before = [sequencer.append(process, first), sequencer.append(process, part, { origin })]
      for (let i = 0; i < 50; i++) await Promise.resolve() // the first two are on their way to the disk
      const behind = [
        ...[sequencer.append(process, first), sequencer.append(process, copies[1] ?? item, { origin })],
        sequencer.append(process, await aMessage(process, { data: 'new' })),
      ]
      for (let i = 0; i < 200; i++) await Promise.resolve() // the others are prepared behind them
      log.failing = outcome === 'refused' ? 'before' : 'no'
      free()
      const ends = await Promise.allSettled([...before, ...behind])
      if (outcome === 'refused') {
        assert.ok(ends.every(end => end.status === 'rejected' && end.reason.code === 'LOG_WRITE_FAILED'))
        assert.equal((await log.tail(process))?.nonce, 0)
        return
      }
      const nonces = ends.map(end => (end.status === 'fulfilled' ? end.value.nonce : undefined))
      assert.deepEqual(nonces, [1, 2, 1, 2, 3])
      assert.equal((await log.tail(process))?.nonce, 3)
    })
  }

  it('writes a refused batch again, as it was, before anything else of its Process', async () => {
    const sequencer = aSequencer()
    const process = await aHosted(sequencer)
    log.failing = 'before'
    await assert.rejects(sequencer.append(process, await aMessage(process, { data: 'first' })), {
      code: 'LOG_WRITE_FAILED',
    })
    clock.advance(5_000)
    await assert.rejects(sequencer.append(process, await aMessage(process, { data: 'second' })), {
      code: 'LOG_WRITE_FAILED',
    })
    log.failing = 'no'
    const third = await sequencer.append(process, await aMessage(process, { data: 'third' }))
    assert.deepEqual(await ordered(process), ['first', 'third'])
    assert.equal(third.nonce, 2)
    assert.equal((await log.at(process, 1 as Nonce))?.timestamp, 1_700_000_000_000, 'signed anew, not written again')
    assert.deepEqual(
      durable.map(({ nonce }) => nonce),
      [0, 1, 2],
    )
  })

  it('keeps a batch that reached the disk although the write was refused', async () => {
    const sequencer = aSequencer()
    const process = await aHosted(sequencer)
    log.failing = 'after'
    const item = await aMessage(process, { data: 'first' })
    await assert.rejects(sequencer.append(process, item), { code: 'LOG_WRITE_FAILED' })
    log.failing = 'no'
    assert.equal((await sequencer.append(process, item)).nonce, 1)
    assert.equal((await sequencer.append(process, await aMessage(process, { data: 'second' }))).nonce, 2)
    assert.deepEqual(await ordered(process), ['first', 'second'])
  })

  it('writes a refused batch once more when it stops', async () => {
    const sequencer = aSequencer()
    const process = await aHosted(sequencer)
    log.failing = 'before'
    await assert.rejects(sequencer.append(process, await aMessage(process, { data: 'first' })))
    log.failing = 'no'
    await sequencer.stop()
    assert.deepEqual(await ordered(process), ['first'])
    await assert.rejects(sequencer.append(process, await aMessage(process)), { code: 'STOPPING' })
  })

  it('never goes back in time or height, whatever clock and chain say', async () => {
    const sequencer = aSequencer()
    const process = await aHosted(sequencer)
    clock.advance(-60_000)
    block = { height: 1_499_990, hash: anId('older'), timestamp: 1_600_000_000_000 }
    const next = await sequencer.append(process, await aMessage(process))
    assert.equal(next.timestamp, 1_700_000_000_000)
    assert.equal(next.blockHeight, 1_500_000)
  })

  it('refuses at once when the queue is full', async () => {
    const sequencer = aSequencer({ maxPending: 2, maxBatch: 1 })
    const item = await aProcess()
    const answers = await Promise.allSettled(
      [item, ...(await messages(item, 5))].map(message => sequencer.append(processIdOf(item), message)),
    )
    const codes = answers.map(answer => (answer.status === 'rejected' ? answer.reason.code : 'ok'))
    assert.ok(codes.includes('OVERLOADED') && codes.includes('ok'), codes.join(' '))
  })

  it('leaves no nonce out when the signer fails in the middle of a batch', async () => {
    let left = 2
    const failing = {
      address: signer.address,
      sign: async (draft: Parameters<typeof signer.sign>[0]) => {
        if (left-- === 0) throw new AoError('INTERNAL', 'the signer is gone')
        return signer.sign(draft)
      },
    }
    const sequencer = aSequencer({}, failing)
    const process = await aHosted(sequencer)
    const answers = await Promise.allSettled((await messages(process, 3)).map(item => sequencer.append(process, item)))
    assert.deepEqual(
      answers.map(({ status }) => status),
      ['fulfilled', 'rejected', 'rejected'],
    )
    assert.equal((await log.tail(process))?.nonce, 1)
  })

  it('strands no message, whichever microtask it arrives in', async () => {
    for (let delay = 0; delay < 20; delay++) {
      log = new FailingLog()
      guard = new MemorySignGuard()
      const sequencer = aSequencer()
      const process = await aHosted(sequencer)
      const [first, late] = await messages(process, 2)
      assert.ok(first && late)
      const answer = new Promise<Assignment>((resolve, reject) => {
        log.onAppend = () => {
          log.onAppend = () => undefined
          void microtasks(delay)
            .then(() => sequencer.append(process, late))
            .then(resolve, reject)
        }
      })
      await sequencer.append(process, first)
      assert.equal((await answer).nonce, 2, `after ${delay} microtasks`)
    }
  })
})

async function microtasks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve()
}

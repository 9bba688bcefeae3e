import assert from 'node:assert/strict'
import fc from 'fast-check'
import { AoError } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import type { LogEntry } from '../../../src/ports/assignment-log.ts'
import type { SignPromise } from '../../../src/ports/sign-guard.ts'
import { type Assignment, checkFollows, parseAssignment } from '../../../src/protocol/assignment.ts'
import type { DataItem, Draft } from '../../../src/protocol/data-item.ts'
import type { Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import type { Signer } from '../../../src/protocol/keys.ts'
import { MemoryAssignmentLog, MemorySignGuard } from '../../../src/storage/memory.ts'
import { Sequencer } from '../../../src/units/scheduler/sequencer.ts'
import { aMessage, anId, aProcess, messages, processIdOf, testSigner } from '../../support/builders.ts'
import { TestClock } from '../../support/eventually.ts'

/** How the next write ends: done, refused, or done and yet reported as refused. */
type Fault = 'none' | 'before' | 'after'
const refused = (): AoError => new AoError('LOG_WRITE_FAILED', 'disk full')

/** A disk, a key and a world outside: what stays when the program dies. */
class Machine {
  readonly log = new FaultyLog()
  readonly guard = new FaultyGuard()
  readonly clock = new TestClock()
  /** Every Assignment the key ever signed, by its place. */
  readonly signed = new Map<string, Assignment>()
  readonly answered: Assignment[] = []
  /** What the key should not have been asked for. A signer's own errors are swallowed as those of a broken one. */
  readonly wrongs: string[] = []
  signerDown = false
  #key = testSigner('su')

  /** A program that runs on this machine: each has a memory of its own. */
  boot(): Sequencer {
    const signer: Signer = { address: this.#key.address, sign: draft => this.#sign(draft) }
    const block = { height: 1_500_000 + (this.clock.now() % 1000), hash: anId('block'), timestamp: 1 }
    const { log, guard, clock } = this
    return new Sequencer(
      { signer, log, guard, clock, telemetry: silentTelemetry, block: () => block, onDurable: () => undefined },
      { maxPending: 100, maxPendingPerProcess: 100, maxPendingBytes: 1e6, maxBatch: 3, maxBatchBytes: 1e6 },
    )
  }

  async #sign(draft: Draft): Promise<DataItem> {
    if (this.signerDown) throw new AoError('INTERNAL', 'the signer is gone')
    const item = await this.#key.sign(draft)
    const assignment = parseAssignment(item)
    const place = `${assignment.process} ${assignment.nonce}`
    const first = this.signed.get(place)
    const { nonce } = assignment
    if (first !== undefined && first.id !== assignment.id) this.wrongs.push(`two signatures at nonce ${nonce}`)
    if (!this.guard.onDisk(assignment)) this.wrongs.push(`nonce ${nonce} was signed before the guard had it on disk`)
    this.signed.set(place, assignment)
    return item
  }
}

class FaultyLog extends MemoryAssignmentLog {
  fault: Fault = 'none'

  override async append(batch: readonly LogEntry[]): Promise<void> {
    if (this.fault === 'before') throw refused()
    await super.append(batch)
    if (this.fault === 'after') throw refused()
  }
}

class FaultyGuard extends MemorySignGuard {
  fault: Fault = 'none'
  readonly #disk = new Map<string, string>()

  onDisk({ process, nonce, message }: Assignment): boolean {
    return this.#disk.get(`${process} ${nonce}`) === message
  }

  override async promise(batch: readonly SignPromise[]): Promise<void> {
    if (this.fault === 'before') throw refused()
    await super.promise(batch)
    for (const { plan } of batch) this.#disk.set(`${plan.process} ${plan.nonce}`, plan.message)
    if (this.fault === 'after') throw refused()
  }
}

describe('units/scheduler/sign guard', () => {
  let machine: Machine
  let item: DataItem
  let process: ProcessId

  beforeEach(async () => {
    machine = new Machine()
    item = await aProcess()
    process = processIdOf(item)
    await machine.boot().append(process, item)
  })

  afterEach(() => assert.deepEqual(machine.wrongs, []))

  it('signs nothing of a batch whose guard write failed', async () => {
    const sequencer = machine.boot()
    machine.guard.fault = 'before'
    await assert.rejects(sequencer.append(process, await aMessage(item)), { code: 'LOG_WRITE_FAILED' })
    assert.equal(machine.signed.size, 1, 'only the Process item')
  })

  it('keeps the places of a batch whose guard write was unknown, and goes on', async () => {
    const sequencer = machine.boot()
    const [first, second] = await messages(item, 2)
    assert.ok(first && second)
    for (const fault of ['before', 'after'] as const) {
      machine.guard.fault = fault
      await assert.rejects(sequencer.append(process, first), { code: 'LOG_WRITE_FAILED' })
    }
    machine.guard.fault = 'none'
    assert.equal((await sequencer.append(process, second)).nonce, 2)
    assert.equal((await sequencer.append(process, first)).nonce, 1)
  })

  for (const stage of ['guard', 'log'] as const) {
    it(`gives a message its place with the same bytes after a crash in which the ${stage} write was unknown`, async () => {
      const message = await aMessage(item)
      machine[stage].fault = stage === 'guard' ? 'after' : 'before'
      await assert.rejects(machine.boot().append(process, message), { code: 'LOG_WRITE_FAILED' })
      const before = machine.signed.get(`${process} 1`)
      machine[stage].fault = 'none'
      machine.clock.advance(60_123)
      const next = machine.boot()
      const [later] = await messages(item, 1)
      assert.ok(later)
      assert.equal((await next.append(process, later)).nonce, 2, 'nonce 1 stays with the first message')
      const kept = await machine.log.at(process, 1 as Nonce)
      assert.equal(kept?.message, message.id)
      assert.equal(kept?.timestamp, 1_700_000_000_000, 'the time of the promise')
      if (before !== undefined) assert.deepEqual(kept?.raw, before.raw)
      assert.equal((await next.append(process, message)).nonce, 1)
    })
  }

  it('finishes what a crash left before the first message comes', async () => {
    const message = await aMessage(item)
    machine.log.fault = 'before'
    await assert.rejects(machine.boot().append(process, message))
    machine.log.fault = 'none'
    await machine.boot().start()
    assert.equal((await machine.log.tail(process))?.message, message.id)
    assert.deepEqual(await machine.guard.open(), [])
  })

  it('goes on with other Processes while one is stuck', async () => {
    const sequencer = machine.boot()
    const other = await aProcess({ data: 'other' })
    await sequencer.append(processIdOf(other), other)
    machine.signerDown = true
    await assert.rejects(sequencer.append(process, await aMessage(item)), { code: 'INTERNAL' })
    await assert.rejects(sequencer.append(process, await aMessage(item, { data: 'x' })), { code: 'LOG_WRITE_FAILED' })
    machine.signerDown = false
    assert.equal((await sequencer.append(processIdOf(other), await aMessage(other))).nonce, 1)
    assert.equal((await machine.log.tail(process))?.nonce, 1, 'and it was finished on the way')
  })

  it('refuses to order on a log that is older than what its key has signed', async () => {
    await machine.guard.raise([{ process, epoch: 0, nonce: 3 as Nonce }])
    const sequencer = machine.boot()
    await assert.rejects(sequencer.append(process, await aMessage(item)), { code: 'EQUIVOCATION' })
    assert.equal(machine.signed.size, 1)
    const other = await aProcess({ data: 'other' })
    assert.equal((await sequencer.append(processIdOf(other), other)).nonce, 0, 'other Processes are not concerned')
  })

  it('never signs two things for one place, and loses nothing it answered, over random faults and crashes', async () => {
    const items = await messages(item, 12)
    const fault = fc.constantFrom<Fault>('none', 'none', 'before', 'after')
    const step = fc.record({
      guard: fault,
      log: fault,
      signerDown: fc.boolean(),
      crash: fc.boolean(),
      send: fc.array(fc.nat({ max: 11 }), { maxLength: 5 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async steps => {
        const machine = new Machine()
        let sequencer = machine.boot()
        await sequencer.append(process, item)
        for (const { guard, log, signerDown, crash, send } of steps) {
          machine.guard.fault = guard
          machine.log.fault = log
          machine.signerDown = signerDown
          machine.clock.advance(7)
          if (crash) sequencer = machine.boot()
          const answers = send.map(i => sequencer.append(process, items[i] ?? item))
          for (const answer of await Promise.allSettled(answers)) {
            if (answer.status === 'fulfilled') machine.answered.push(answer.value)
            else assert.ok(answer.reason instanceof AoError && answer.reason.code !== 'EQUIVOCATION', answer.reason)
          }
        }
        machine.guard.fault = 'none'
        machine.log.fault = 'none'
        machine.signerDown = false
        await machine.boot().start()
        await assertWhole(machine, process)
      }),
      { numRuns: 60 },
    )
  })
})

async function assertWhole({ log, signed, answered, wrongs }: Machine, process: ProcessId): Promise<void> {
  assert.deepEqual(wrongs, [])
  let previous: Assignment | undefined
  for await (const { assignment } of log.read(process, { from: 0 as Nonce })) {
    checkFollows(process, previous, assignment)
    previous = assignment
  }
  for (const { nonce, id } of [...answered, ...signed.values()]) {
    assert.equal((await log.at(process, nonce))?.id, id, `what was signed at nonce ${nonce} is not in the log`)
  }
}

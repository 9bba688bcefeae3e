import assert from 'node:assert/strict'
import { AoError } from '../../../src/lib/errors.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { type Assignment, checkFollows, parseAssignment } from '../../../src/protocol/assignment.ts'
import type { DataItem, Draft } from '../../../src/protocol/data-item.ts'
import type { Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import type { Signer } from '../../../src/protocol/keys.ts'
import { signRun } from '../../../src/protocol/signed-run.ts'
import { LevelAssignmentLog } from '../../../src/storage/level-assignment-log.ts'
import { LevelSignGuard } from '../../../src/storage/level-sign-guard.ts'
import { Sequencer } from '../../../src/units/scheduler/sequencer.ts'
import { aMessage, anId, aProcess, processIdOf, testSigner } from '../../support/builders.ts'
import { TestClock } from '../../support/eventually.ts'
import { ModelDisk, type ModelStore, Path, writeEnds } from '../../support/model-disk.ts'

const slow = process.env['AONET_SLOW_TESTS'] === '1'

/** What a history is made of: sent together, in this order, each again until it is answered. */
type History = readonly (readonly DataItem[])[]

/**
 * Runs a history on real log, guard and sequencer over a disk whose every write may end in every way, and checks that
 * nobody ever sees two signatures for one place.
 */
class Run {
  readonly disk: ModelDisk
  readonly wrongs: string[] = []
  #faults = 0
  readonly #clock = new TestClock()
  readonly #key = testSigner('su')
  readonly #sealed: boolean
  readonly #maxFaults: number
  /** By place: what the key made, and what anybody but the program could see. */
  readonly #made = new Map<string, string>()
  readonly #shown = new Map<string, string>()
  readonly #answered = new Map<string, Assignment>()
  #program: { readonly sequencer: Sequencer; readonly store: ModelStore } | undefined

  /** @param maxFaults writes that end badly, at the most. */
  constructor(path: Path, { sealed, maxFaults }: { readonly sealed: boolean; readonly maxFaults: number }) {
    this.#sealed = sealed
    this.#maxFaults = maxFaults
    this.disk = new ModelDisk(() => {
      const end = writeEnds[this.#faults < maxFaults ? path.choose(writeEnds.length) : 0] ?? 'done'
      if (end !== 'done') this.#faults++
      return end
    })
  }

  async send(batch: readonly DataItem[], process: ProcessId): Promise<void> {
    let left = batch
    // Each try may meet one fault, and a refused disk is only well after another start.
    for (let tries = 0; left.length > 0; tries++) {
      assert.ok(tries <= 2 * this.#maxFaults + 2, 'a message was never ordered')
      this.#program ??= this.#boot()
      const { sequencer, store } = this.#program
      const ends = await Promise.all(
        left.map(message => Promise.race([settled(sequencer.append(process, message)), store.died])),
      )
      left = left.filter((message, i) => !this.#took(message, ends[i]))
      this.#clock.advance(7)
      if (!store.usable) this.#program = undefined
    }
  }

  async finish(process: ProcessId): Promise<void> {
    this.#faults = this.#maxFaults
    const { sequencer, store } = this.#boot()
    await sequencer.start()
    const log = new LevelAssignmentLog(store)
    let previous: Assignment | undefined
    for await (const { assignment } of log.read(process, { from: 0 as Nonce })) {
      checkFollows(process, previous, assignment)
      this.#show(assignment)
      previous = assignment
    }
    for (const { nonce, id } of this.#answered.values()) {
      if ((await log.at(process, nonce))?.id !== id) this.wrongs.push(`the answered nonce ${nonce} is lost`)
    }
  }

  #boot(): { readonly sequencer: Sequencer; readonly store: ModelStore } {
    const store = this.disk.open()
    const { address } = this.#key
    const sign = async (draft: Draft): Promise<DataItem> => this.#make(await this.#key.sign(draft))
    const signRuns: Signer['signRuns'] = runs => Promise.all(runs.map(run => signRun(run, sign)))
    const signer: Signer = { address, sign, ...(this.#sealed ? { signRuns } : {}) }
    const [log, guard] = [new LevelAssignmentLog(store), new LevelSignGuard(store)]
    const block = { height: 1_500_000 + (this.#clock.now() % 1000), hash: anId('block'), timestamp: 1 }
    const onDurable = (rows: readonly { readonly assignment: Assignment }[]): void => {
      for (const { assignment } of rows) this.#show(assignment)
    }
    const limits = { maxPending: 9, maxPendingPerProcess: 9, maxPendingBytes: 1e6, maxBatch: 2, maxBatchBytes: 1e6 }
    const deps = { signer, log, guard, clock: this.#clock, telemetry: silentTelemetry, block: () => block, onDurable }
    return { sequencer: new Sequencer(deps, limits), store }
  }

  #took(message: DataItem, end: Assignment | AoError | 'died' | undefined): boolean {
    if (end === undefined || end === 'died') return false
    if (end instanceof AoError) {
      if (end.code !== 'LOG_WRITE_FAILED') this.wrongs.push(`${end.code}: ${end.message}`)
      return false
    }
    this.#show(end)
    const first = this.#answered.get(message.id)
    if (first !== undefined && first.id !== end.id) this.wrongs.push('two answers for one message')
    this.#answered.set(message.id, end)
    return true
  }

  /** A signer that others watch may sign a place once; one that is sealed, once for every time anybody could see it. */
  #make(item: DataItem): DataItem {
    if (!this.#sealed) once(this.#made, parseAssignment(item), 'signed', this.wrongs)
    return item
  }

  #show(assignment: Assignment): void {
    once(this.#shown, assignment, 'shown', this.wrongs)
  }
}

function once(places: Map<string, string>, { nonce, id }: Assignment, what: string, wrongs: string[]): void {
  const first = places.get(String(nonce)) ?? id
  if (first !== id) wrongs.push(`two signatures were ${what} for nonce ${nonce}`)
  places.set(String(nonce), first)
}

const settled = (answer: Promise<Assignment>): Promise<Assignment | AoError> =>
  answer.catch((error: unknown) => AoError.from(error))

describe('units/scheduler/sign guard: every crash of small histories', function () {
  this.timeout(300_000)
  const item = aProcess()
  const histories: Readonly<Record<string, () => Promise<History>>> = {
    'one after the other': async () => [[await item], [await aMessage(await item, { data: 'a' })]],
    'together, more than a batch takes': async () => [
      [await item],
      await Promise.all(['a', 'b', 'c'].map(async data => aMessage(await item, { data }))),
    ],
  }
  for (const sealed of [false, true]) {
    for (const [name, history] of Object.entries(histories)) {
      const whose = sealed ? 'with a key in this program' : 'with a signer that others watch'
      it(`shows one signature for a place, and loses no answer, ${whose}: messages ${name}`, async () => {
        const process = processIdOf(await item)
        let runs = 0
        const batches = await history()
        const maxFaults = (batches.flat().length > 2 && !sealed ? 1 : 2) + (slow ? 1 : 0)
        for (let path: Path | undefined = new Path(); path !== undefined; path = path.next()) {
          const run: Run = new Run(path, { sealed, maxFaults })
          for (const batch of batches) await run.send(batch, process)
          await run.finish(process)
          assert.deepEqual(run.wrongs, [], `path ${path}`)
          runs++
        }
        assert.ok(runs > 25, `${runs} runs`)
      })
    }
  }
})

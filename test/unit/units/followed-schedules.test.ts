import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { absentScheduler } from '../../../src/network/grpc/absent-units.ts'
import type { NonceRange, Scheduler } from '../../../src/ports/units.ts'
import type { ScheduledMessage } from '../../../src/protocol/assignment.ts'
import type { Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { Bell } from '../../../src/units/bell.ts'
import { defaultFollowedSchedulesOptions, FollowedSchedules } from '../../../src/units/routing/followed-schedules.ts'
import { aProcess, messages, processIdOf, schedule } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'

/** An SU that shows the rows up to `known`. */
class GrowingScheduler {
  known = 0
  /** Streams that follow send nothing while this is so. */
  silent = false
  readonly asked: NonceRange[] = []
  readonly #rows: readonly ScheduledMessage[]
  readonly #bells = new Set<Bell>()

  constructor(rows: readonly ScheduledMessage[]) {
    this.#rows = rows
  }

  grow(known: number): void {
    this.known = known
    for (const bell of this.#bells) bell.ring()
  }

  get following(): number {
    return this.#bells.size
  }

  readonly scheduler: Scheduler = { ...absentScheduler, read: (_process, range, options) => this.#read(range, options) }

  async *#read(
    range: NonceRange,
    { signal }: { signal?: AbortSignal | undefined } = {},
  ): AsyncIterable<ScheduledMessage> {
    this.asked.push(range)
    const bell = new Bell()
    if (range.follow) this.#bells.add(bell)
    try {
      for (let next: number = range.from; ; ) {
        for (; next <= Math.min(this.known, range.to ?? this.known) && !(range.follow && this.silent); next++) {
          yield this.#rows[next] as ScheduledMessage
        }
        if (!range.follow) return
        await bell.wait({ signal })
      }
    } finally {
      this.#bells.delete(bell)
    }
  }
}

describe('units/routing/followed schedules', () => {
  let su: GrowingScheduler
  let process: ProcessId
  let told: number[]
  let followed: FollowedSchedules

  const read = async (from: number, to: number): Promise<number[]> => {
    const nonces: number[] = []
    const range = { from: from as Nonce, to: to as Nonce }
    for await (const { assignment } of followed.through(su.scheduler).read(process, range))
      nonces.push(assignment.nonce)
    return nonces
  }
  const open = async (options = {}): Promise<void> => {
    const item = await aProcess()
    process = processIdOf(item)
    su = new GrowingScheduler(await schedule(item, await messages(item, 12)))
    told = []
    const onAssignment = ({ nonce }: { nonce: number }): void => void told.push(nonce)
    followed = new FollowedSchedules(
      { telemetry: silentTelemetry, onAssignment },
      { ...defaultFollowedSchedulesOptions, ...options },
    )
    await followed.start()
  }
  /** Reads until the schedule is followed. */
  const follow = async (): Promise<void> => {
    su.grow(3)
    assert.deepEqual(await read(0, 2), [0, 1, 2])
    assert.equal(su.following, 0, 'a schedule that is read once is not followed')
    assert.deepEqual(await read(3, 3), [3])
    await eventually('the stream', () => su.following === 1)
  }
  afterEach(() => followed.stop())

  it('asks no more for what comes by itself, and tells of it', async () => {
    await open()
    await follow()
    const before = su.asked.length
    su.grow(5)
    await eventually('both are told', () => told.length === 2)
    assert.deepEqual(await read(4, 5), [4, 5])
    const late = read(6, 6)
    su.grow(6)
    assert.deepEqual(await late, [6])
    assert.equal(su.asked.length, before)
  })

  it('asks as usual when nothing comes, when another place is read, and while somebody reads', async () => {
    await open({ patienceMs: 5 })
    await follow()
    su.silent = true
    su.grow(5)
    assert.deepEqual(await read(4, 5), [4, 5])
    await eventually('the silent stream is left', () => su.following === 0)
    su.silent = false
    await read(6, 6) // nothing is there yet, so nothing is read
    su.grow(8)
    assert.deepEqual(await read(6, 7), [6, 7])
    assert.deepEqual(await read(8, 8), [8])
    await eventually('it is followed again', () => su.following === 1)
    assert.deepEqual(await read(1, 2), [1, 2])
    su.grow(9)
    assert.deepEqual(await Promise.all([read(9, 9), read(9, 9)]), [[9], [9]])
  })

  it('reads no further than its reader', async () => {
    await open({ maxRows: 3 })
    await follow()
    su.grow(11)
    await eventually('three rows', () => told.length === 3)
    await pause(20)
    assert.deepEqual(told, [4, 5, 6])
    assert.deepEqual(await read(4, 11), [4, 5, 6, 7, 8, 9, 10, 11])
  })

  it('leaves a schedule that nobody reads, and all when it stops', async () => {
    await open({ idleMs: 30 })
    await follow()
    await eventually('it is left', () => su.following === 0)
    await open()
    await follow()
    await followed.stop()
    await eventually('it is left', () => su.following === 0)
  })
})

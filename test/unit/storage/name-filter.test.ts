import assert from 'node:assert/strict'
import { silentLogger } from '../../../src/lib/telemetry.ts'
import type { LogEntry, Sought } from '../../../src/ports/assignment-log.ts'
import type { MessageId, ProcessId } from '../../../src/protocol/ids.ts'
import type { Origin } from '../../../src/protocol/origin.ts'
import { openStore } from '../../../src/storage/level.ts'
import { LevelAssignmentLog } from '../../../src/storage/level-assignment-log.ts'
import type { Store } from '../../../src/storage/store.ts'
import { anId, aProcess, messages, schedule, withTempDir } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'

describe('storage/name filter', () => {
  it('finds every name of an earlier program, before the names are read, while they are, and after', () =>
    withLog(async ({ entries, asked, reopened }) => {
      const log = await reopened()
      const all = entries.flatMap(namesIn)
      for (let round = 0; round < 50; round++) {
        const found = await log.findMany(all)
        assert.deepEqual(
          found.map(one => one?.id),
          entries.flatMap(entry => namesIn(entry).map(() => entry.assignment.id)),
        )
      }
      await eventually('nobody looks for what is not there', async () => {
        const before = asked()
        await log.findMany([nobody])
        return asked() === before
      })
      assert.deepEqual(
        (await log.findMany(all)).map(one => one?.message),
        entries.flatMap(entry => namesIn(entry).map(() => entry.assignment.message)),
      )
    }))

  it('finds what is appended while the names are read, and what a failed append left', () =>
    withLog(async ({ entries, more, reopened, refuse }) => {
      const log = await reopened()
      const reading = log.findMany(entries.flatMap(namesIn))
      const [first, second] = [more.slice(0, 10), more.slice(10)]
      await log.append(first)
      await reading
      refuse()
      await assert.rejects(log.append(second), /refused/)
      for (let round = 0; round < 20; round++) {
        const found = await log.findMany(more.flatMap(namesIn))
        assert.equal(
          found.every(one => one !== undefined),
          true,
        )
        await new Promise(resolve => setTimeout(resolve, 5))
      }
    }))
})

const nobody: Sought = { process: anId<ProcessId>('nobody'), message: anId<MessageId>('nothing') }

const originOf = ({ assignment }: LogEntry): Origin => `${assignment.process} ${assignment.nonce} 0` as Origin

/** A row by its message, and by its origin. */
const namesIn = (entry: LogEntry): readonly Sought[] => {
  const { process, message } = entry.assignment
  return [
    { process, message },
    { process, message: anId<MessageId>('another'), origin: originOf(entry) },
  ]
}

interface Bench {
  readonly entries: readonly LogEntry[]
  /** What comes after them. */
  readonly more: readonly LogEntry[]
  /** The log in a program that did not write it. */
  reopened(): Promise<LevelAssignmentLog>
  /** Keys that the store was asked for. */
  asked(): number
  /** The next write is done, and said to have failed. */
  refuse(): void
}

async function withLog(use: (bench: Bench) => Promise<void>): Promise<void> {
  const item = await aProcess()
  const all = (await schedule(item, await messages(item, 60))).map(entry => ({ ...entry, origin: originOf(entry) }))
  const [entries, more] = [all.slice(0, 40), all.slice(40)]
  await withTempDir(async dir => {
    const first = await openStore(dir, { log: silentLogger })
    await new LevelAssignmentLog(first).append(entries)
    await first.close()
    const store = await openStore(dir, { log: silentLogger })
    let asked = 0
    let refused = false
    const watched: Store = Object.assign(Object.create(store) as Store, {
      getMany: (keys: readonly Uint8Array[]) => {
        asked += keys.length
        return store.getMany(keys)
      },
      get: (key: Uint8Array) => store.get(key),
      entries: (range: Parameters<Store['entries']>[0]) => store.entries(range),
      write: async (...how: Parameters<Store['write']>) => {
        await store.write(...how)
        if (!refused) return
        refused = false
        throw new Error('refused')
      },
    })
    try {
      const refuse = (): void => {
        refused = true
      }
      await use({ entries, more, asked: () => asked, refuse, reopened: async () => new LevelAssignmentLog(watched) })
    } finally {
      await store.close()
    }
  })
}

import assert from 'node:assert/strict'
import type { AssignmentLog } from '../../src/ports/assignment-log.ts'
import { draftAssignment, parseAssignment, type ScheduledMessage } from '../../src/protocol/assignment.ts'
import type { Id, MessageId, Nonce, ProcessId } from '../../src/protocol/ids.ts'
import type { Origin } from '../../src/protocol/origin.ts'
import { anId, aProcess, messages, processIdOf, schedule, testSigner } from '../support/builders.ts'

/** What every AssignmentLog promises. `create` gives an empty one and how to end with it. */
export function assignmentLogSuite(
  name: string,
  create: () => Promise<{ log: AssignmentLog; close(): Promise<void> }>,
): void {
  describe(`AssignmentLog: ${name}`, () => {
    let log: AssignmentLog
    let close: () => Promise<void>
    let entries: readonly ScheduledMessage[]
    let process: ProcessId

    before(async () => {
      const item = await aProcess()
      process = processIdOf(item)
      entries = await schedule(item, await messages(item, 9))
    })
    beforeEach(async () => {
      ;({ log, close } = await create())
    })
    afterEach(() => close())

    it('knows nothing at first', async () => {
      assert.equal(await log.tail(process), undefined)
      assert.equal(await log.at(process, 0 as Nonce), undefined)
      assert.equal(await log.find(process, anId('message')), undefined)
      assert.equal(await log.process(process), undefined)
      assert.deepEqual(await collect(log.read(process, { from: 0 as Nonce })), [])
      assert.deepEqual(await log.readAll(0, 10), [])
      assert.equal(await log.size(), 0)
    })

    it('gives back byte for byte what was appended, by nonce, by message and at the tail', async () => {
      await log.append(entries)
      for (const { assignment, message } of entries) {
        assert.deepEqual(Buffer.from((await log.at(process, assignment.nonce))?.raw ?? []), Buffer.from(assignment.raw))
        assert.equal((await log.find(process, assignment.message))?.id, assignment.id)
        assert.equal((await log.find(process, assignment.id as Id as MessageId))?.id, assignment.id)
        const [read] = await collect(log.read(process, { from: assignment.nonce, to: assignment.nonce }))
        assert.deepEqual(Buffer.from(read?.message?.raw ?? []), Buffer.from(message?.raw ?? []))
      }
      assert.equal((await log.tail(process))?.id, entries.at(-1)?.assignment.id)
      assert.equal((await log.process(process))?.id, process)
    })

    it('keeps what is settled already apart from what is to be settled', async () => {
      await log.append(entries.slice(0, 6).map((entry, i) => ({ ...entry, settled: i < 4 })))
      await log.append(entries.slice(6))
      const places = await log.readAll(0, 100)
      assert.deepEqual(
        places.map(({ position, scheduled }) => [position, scheduled.assignment.nonce]),
        entries.slice(4).map(({ assignment }, i) => [i + 1, assignment.nonce]),
      )
      assert.equal(await log.size(), entries.length - 4)
      assert.deepEqual((await collect(log.read(process, { from: 0 as Nonce }))).length, entries.length)
    })

    it('reads ranges in order with both ends inclusive, and up to the tail without an end', async () => {
      await log.append(entries)
      const range = async (from: number, to?: number): Promise<number[]> =>
        (await collect(log.read(process, { from: from as Nonce, to: to as Nonce | undefined }))).map(
          entry => entry.assignment.nonce,
        )
      assert.deepEqual(await range(2, 4), [2, 3, 4])
      assert.deepEqual(await range(7), [7, 8, 9])
      assert.deepEqual(await range(8, 100), [8, 9])
      assert.deepEqual(await range(0, Number.MAX_SAFE_INTEGER), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      assert.deepEqual(await range(10), [])
      assert.deepEqual(await range(5, 4), [])
    })

    it('keeps an Assignment without its message when the item is already on Arweave', async () => {
      const [first, second] = entries
      assert.ok(first && second)
      await log.append([first, { assignment: second.assignment }])
      const [, read] = await collect(log.read(process, { from: 0 as Nonce }))
      assert.equal(read?.assignment.id, second.assignment.id)
      assert.equal(read?.message, undefined)
    })

    it('refuses a taken nonce with EQUIVOCATION and keeps what it had', async () => {
      await log.append(entries.slice(0, 3))
      const fork = await forkOf(entries[2], 'another message')
      await assert.rejects(log.append([fork]), { code: 'EQUIVOCATION' })
      await assert.rejects(log.append(entries.slice(2, 3)), { code: 'EQUIVOCATION' })
      assert.equal((await log.at(process, 2 as Nonce))?.id, entries[2]?.assignment.id)
      assert.equal(await log.size(), 3)
    })

    it('refuses a second nonce for one message with EQUIVOCATION', async () => {
      await log.append(entries.slice(0, 3))
      const again = await forkOf(entries[3], undefined, entries[2]?.assignment.message)
      await assert.rejects(log.append([again]), { code: 'EQUIVOCATION' })
      const twice = await forkOf(entries[4], undefined, entries[3]?.assignment.message)
      await assert.rejects(log.append([...entries.slice(3, 4), twice]), { code: 'EQUIVOCATION' })
      assert.equal((await log.tail(process))?.nonce, 2)
    })

    it('refuses a gap with NONCE_GAP, at the tail and inside a batch', async () => {
      await assert.rejects(log.append(entries.slice(1, 2)), { code: 'NONCE_GAP' })
      await log.append(entries.slice(0, 2))
      await assert.rejects(log.append(entries.slice(3, 5)), { code: 'NONCE_GAP' })
      await assert.rejects(log.append([...entries.slice(2, 4), ...entries.slice(5)]), { code: 'NONCE_GAP' })
    })

    it('writes nothing of a batch of which one entry is refused', async () => {
      await log.append(entries.slice(0, 2))
      await assert.rejects(log.append([...entries.slice(2, 5), ...entries.slice(6)]), { code: 'NONCE_GAP' })
      assert.equal((await log.tail(process))?.nonce, 1)
      assert.equal(await log.find(process, entries[2]?.assignment.message ?? anId()), undefined)
      assert.equal(await log.size(), 2)
      await log.append(entries.slice(2))
      assert.equal(await log.size(), entries.length)
    })

    it('lets one of many racing appends of one nonce win', async () => {
      await log.append(entries.slice(0, 1))
      const rivals = await Promise.all(Array.from({ length: 8 }, (_, i) => forkOf(entries[1], `rival ${i}`)))
      const outcomes = await Promise.allSettled(rivals.map(rival => log.append([rival])))
      const won = outcomes.flatMap((outcome, i) => (outcome.status === 'fulfilled' ? [i] : []))
      assert.equal(won.length, 1, 'exactly one append succeeds')
      assert.equal((await log.at(process, 1 as Nonce))?.id, rivals[won[0] ?? 0]?.assignment.id)
      assert.equal(await log.size(), 2)
    })

    it('numbers all entries of all Processes in the order of appending, without gaps', async () => {
      const others = await Promise.all(
        ['a', 'b', 'c'].map(async data => {
          const item = await aProcess({ data })
          return schedule(item, await messages(item, 5))
        }),
      )
      await log.append(entries.slice(0, 2))
      await Promise.all(
        others.map(async other => {
          for (const entry of other) await log.append([entry])
        }),
      )
      await log.append(entries.slice(2, 4))
      const all = await log.readAll(0, 1000)
      assert.deepEqual(
        all.map(({ position }) => position),
        Array.from({ length: 22 }, (_, i) => i + 1),
      )
      assert.deepEqual(
        ids(all.slice(0, 2)),
        entries.slice(0, 2).map(({ assignment }) => assignment.id),
      )
      assert.deepEqual(
        ids(all.slice(20)),
        entries.slice(2, 4).map(({ assignment }) => assignment.id),
      )
      for (const other of others) {
        const own = new Set<string>(other.map(({ assignment }) => assignment.id))
        assert.deepEqual(
          ids(all).filter(id => own.has(id)),
          [...own],
          'each Process in its own order',
        )
      }
      assert.equal(await log.size(), 22)
    })

    it('pages through all entries: after the last position seen, at most the limit', async () => {
      await log.append(entries)
      const pages: number[][] = []
      for (let after = 0; ; ) {
        const page = await log.readAll(after, 4)
        if (page.length === 0) break
        pages.push(page.map(({ position }) => position))
        after = page.at(-1)?.position ?? after
      }
      assert.deepEqual(pages, [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [9, 10],
      ])
      assert.deepEqual(await log.readAll(0, 0), [])
    })

    it('finds many at once by id or by origin, in the order asked, and nothing of another Process', async () => {
      const origin = `${process} 7 0` as Origin
      await log.append(entries.slice(0, 2))
      await log.append([{ ...at(entries, 2), origin }], { guarded: true })
      const nobody = anId<MessageId>('nobody')
      const found = await log.findMany([
        { process, message: nobody, origin },
        { process, message: at(entries, 1).assignment.message },
        { process, message: nobody },
        { process: anId<ProcessId>('other'), message: at(entries, 1).assignment.message, origin },
        { process, message: at(entries, 1).assignment.message, origin: `${process} 7 1` as Origin },
      ])
      assert.deepEqual(
        found.map(assignment => assignment?.nonce),
        [2, 1, undefined, undefined, 1],
      )
      assert.deepEqual(await log.findMany([]), [])
    })

    it('refuses a second nonce for one origin with EQUIVOCATION', async () => {
      const origin = `${process} 7 0` as Origin
      await log.append([at(entries, 0), { ...at(entries, 1), origin }])
      await assert.rejects(log.append([{ ...at(entries, 2), origin }]), { code: 'EQUIVOCATION' })
      const other = `${process} 7 1` as Origin
      const twice = [
        { ...at(entries, 2), origin: other },
        { ...at(entries, 3), origin: other },
      ]
      await assert.rejects(log.append(twice), { code: 'EQUIVOCATION' })
      assert.equal(await log.size(), 2)
    })

    it('gives the newest Assignment of each Process', async () => {
      const others = await Promise.all(['a', 'b'].map(async data => schedule(await aProcess({ data }))))
      await log.append([...entries.slice(0, 3), ...others.flat()])
      const tails = await collect(log.tails())
      assert.deepEqual(
        new Map(tails.map(({ process: id, nonce }) => [id, nonce])),
        new Map([[process, 2], ...others.map(rows => [at(rows, 0).assignment.process, 0] as const)]),
      )
      assert.equal(tails.length, 3)
    })

    it('takes an empty batch as nothing to do', async () => {
      await log.append([])
      assert.equal(await log.size(), 0)
    })
  })
}

/** Another Assignment for the same nonce. */
async function forkOf(
  entry: ScheduledMessage | undefined,
  text: string | undefined,
  message = anId<ScheduledMessage['assignment']['message']>(text),
): Promise<ScheduledMessage> {
  assert.ok(entry)
  const item = await testSigner('su').sign(draftAssignment({ ...entry.assignment, message }))
  return { assignment: parseAssignment(item) }
}

function at<T>(list: readonly T[], index: number): T {
  const found = list[index]
  assert.ok(found)
  return found
}

const ids = (rows: readonly { scheduled: ScheduledMessage }[]): string[] =>
  rows.map(({ scheduled }) => scheduled.assignment.id)

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const entry of source) found.push(entry)
  return found
}

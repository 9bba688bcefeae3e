import assert from 'node:assert/strict'
import type { ResultStore, StoredResult } from '../../src/ports/result-store.ts'
import { attestationOf, draftAttestation } from '../../src/protocol/attestation.ts'
import type { MessageId, Nonce, ProcessId } from '../../src/protocol/ids.ts'
import type { Origin } from '../../src/protocol/origin.ts'
import { emptyOutbox, encodeResult } from '../../src/protocol/result.ts'
import { anId, aProcess, messages, processIdOf, schedule, testSigner } from '../support/builders.ts'

/** What every ResultStore promises. */
export function resultStoreSuite(
  name: string,
  create: () => Promise<{ store: ResultStore; close(): Promise<void> }>,
): void {
  describe(`ResultStore: ${name}`, () => {
    let store: ResultStore
    let close: () => Promise<void>
    let rows: readonly StoredResult[]
    let process: ProcessId

    before(async () => {
      const item = await aProcess()
      process = processIdOf(item)
      const entries = await schedule(item, await messages(item, 3))
      rows = await Promise.all(entries.map(({ assignment }) => aRow(assignment, 'ok')))
    })
    beforeEach(async () => {
      ;({ store, close } = await create())
    })
    afterEach(() => close())

    it('knows nothing at first', async () => {
      assert.equal(await store.get(process, 0 as Nonce), undefined)
      assert.equal(await store.nonceOf(process, anId()), undefined)
      assert.equal(await store.newest(process), undefined)
    })

    it('gives back each row as it was put, and the nonce of its message', async () => {
      for (const row of rows) await store.put(row)
      for (const row of rows) {
        const stored = await store.get(process, row.result.nonce)
        assert.equal(stored?.assignment.id, row.assignment.id)
        assert.deepEqual(Buffer.from(stored?.attestation ?? []), Buffer.from(row.attestation))
        assert.ok(stored && Buffer.from(encodeResult(stored.result)).equals(encodeResult(row.result)))
        assert.equal(await store.nonceOf(process, row.assignment.message), row.result.nonce)
      }
      assert.equal(await store.nonceOf(anId<ProcessId>('other'), rows[1]?.assignment.message ?? anId()), undefined)
    })

    it('keeps the first place of a message and of what it pushes, whatever repeats them', async () => {
      const [first, second, third] = rows
      assert.ok(first && second && third)
      const origin = `${anId('sender')} 3 0` as Origin
      await store.put(first, { origin, isRepeat: false })
      await store.put(second, { origin, isRepeat: true }) // the same part in another message
      assert.equal(await store.nonceOf(process, second.assignment.message), 1)
      assert.equal(await store.nonceOf(process, second.assignment.message, origin), 0)
      const again = { ...third.assignment, message: second.assignment.message }
      await store.put({ ...third, assignment: again }, { isRepeat: true })
      assert.equal(await store.nonceOf(process, again.message), 1)
      assert.equal(await store.nonceOf(process, again.message, `${anId('sender')} 4 0` as Origin), 1)
      assert.equal(await store.nonceOf(anId<ProcessId>('other'), anId(), origin), undefined)
    })

    it('is told where messages stand that have no Result, and forgets it after a nonce', async () => {
      const [first, second] = rows
      assert.ok(first && second)
      const other = anId<ProcessId>('with learned names')
      const [one, two, three] = ['one', 'two', 'three'].map(name => anId<MessageId>(name))
      assert.ok(one && two && three)
      const origin = `${anId('sender')} 3 0` as Origin
      const place = (nonce: number, message: MessageId, more = {}) => ({ nonce: nonce as Nonce, message, ...more })
      assert.equal(await store.learned(other), undefined)
      await store.learn(other, [place(0, one), place(1, two, { origin }), place(2, one)])
      assert.equal(await store.learned(other), 2)
      await store.learn(other, [place(3, three, { origin }), place(4, two)])
      const places = async () => [
        ...(await Promise.all([one, two, three].map(message => store.nonceOf(other, message)))),
        ...[await store.nonceOf(other, anId(), origin), await store.learned(other)],
      ]
      assert.deepEqual(await places(), [0, 1, 3, 1, 4])
      await store.learn(other, [])
      assert.equal(await store.nonceOf(process, one), undefined)
      assert.equal(await store.learned(process), undefined)
      await store.forgetAfter(other, 1 as Nonce)
      assert.deepEqual(await places(), [0, 1, undefined, 1, 1])
    })

    it('takes several rows at once, all of them or none', async () => {
      const [first, second, third] = rows
      assert.ok(first && second && third)
      const origin = `${anId('sender')} 3 0` as Origin
      const again = { ...third, assignment: { ...third.assignment, message: first.assignment.message } }
      await store.putAll([
        { row: first, names: { origin, isRepeat: false } },
        { row: second, names: { origin, isRepeat: true } },
      ])
      await store.putAll([
        { row: first }, // stored already
        { row: again, names: { isRepeat: true } },
      ])
      assert.deepEqual(
        [await store.nonceOf(process, anId(), origin), (await store.newest(process))?.result.nonce],
        [0, 2],
      )
      assert.equal(await store.nonceOf(process, first.assignment.message), 0)
      const later = (await schedule(await aProcess(), await messages(process, 4))).at(-1)?.assignment
      assert.ok(later)
      const other = await aRow(first.assignment, 'something else')
      await assert.rejects(store.putAll([{ row: await aRow(later, 'ok') }, { row: other }]), { code: 'EQUIVOCATION' })
      assert.equal(await store.get(process, later.nonce), undefined)
      await store.putAll([])
    })

    it('shows rows as they are on their way, before what is written after them', async () => {
      const [first, second] = rows
      assert.ok(first && second)
      let shown: StoredResult | undefined
      let stored: Promise<void> | undefined
      const onWriting = (): void => {
        const writing = store.writing(process, first.result.nonce)
        shown = writing?.row
        stored = writing?.stored
      }
      const put = store.putAll([{ row: first }, { row: second }], { onWriting })
      await put
      const row = shown ?? (await store.get(process, first.result.nonce)) // what keeps nothing has no way to go
      assert.deepEqual(row?.result, first.result)
      await stored
      assert.equal(store.writing(process, first.result.nonce), undefined)
      assert.ok(await store.get(process, second.result.nonce))
      let again = false
      await store.putAll([{ row: first }], { onWriting: () => (again = true) }) // stored already: nothing is on its way
      assert.equal(store.writing(process, first.result.nonce), undefined)
      assert.equal(again, false)
    })

    it('tells the newest row, whatever the order of putting', async () => {
      const [first, second, third] = rows
      assert.ok(first && second && third)
      await store.put(second)
      await store.put(third)
      await store.put(first)
      assert.equal((await store.newest(process))?.result.nonce, 2)
    })

    it('shows the schedule as it was evaluated, and forgets what comes after a nonce, for good', async () => {
      const item = await aProcess()
      const entries = await schedule(item, await messages(item, 4))
      for (const { assignment, message } of entries) await store.put({ ...(await aRow(assignment, 'ok')), message })
      const shown = async (from: number, to?: number): Promise<readonly (readonly [string, string | undefined])[]> => {
        const found: (readonly [string, string | undefined])[] = []
        const range = { from: from as Nonce, to: to as Nonce | undefined }
        for await (const { assignment, message } of store.scheduled(processIdOf(item), range)) {
          found.push([assignment.id, message?.id])
        }
        return found
      }
      const all = entries.map(({ assignment, message }) => [assignment.id, message?.id] as const)
      assert.deepEqual(await shown(0), all)
      assert.deepEqual(await shown(1, 3), all.slice(1, 4))

      await store.forgetAfter(processIdOf(item), 2 as Nonce)
      assert.deepEqual(await shown(0), all.slice(0, 3))
      assert.equal((await store.newest(processIdOf(item)))?.result.nonce, 2)
      for (const { assignment } of entries.slice(3)) {
        assert.equal(await store.get(processIdOf(item), assignment.nonce), undefined)
        assert.equal(await store.nonceOf(processIdOf(item), assignment.message), undefined)
        await store.put(await aRow(assignment, 'otherwise')) // another result may stand there now
      }
      assert.equal((await store.newest(processIdOf(item)))?.result.nonce, 4)
    })

    it('keeps items until it is told that they can be had elsewhere', async () => {
      const both = await Promise.all(
        ['one', 'other'].map(async data => {
          const item = await aProcess({ data })
          const entries = await schedule(item, await messages(item, 3))
          for (const { assignment, message } of entries) await store.put({ ...(await aRow(assignment, 'ok')), message })
          return { process: processIdOf(item), entries }
        }),
      )
      const all = await store.keptItems(undefined, 100)
      assert.equal(all.length, 8)
      const sizes = both.flatMap(({ entries }) => entries.map(({ message }) => message?.raw.length ?? 0))
      const bytes = sizes.reduce((a, b) => a + b)
      assert.deepEqual(await store.keptItemsTotals(), { items: 8, bytes })
      assert.deepEqual(await store.keptItems(undefined, 3), all.slice(0, 3))
      assert.deepEqual(await store.keptItems(all[3], 100), all.slice(3))
      assert.deepEqual(
        all.slice(0, 4).map(({ nonce }) => nonce),
        [0, 1, 2, 3],
      )

      const [one, other] = both
      assert.ok(one && other)
      await store.dropItems(
        one.process,
        [0, 1, 1, 3].map(nonce => nonce as Nonce),
      )
      const left = (await store.keptItems(undefined, 100)).filter(place => place.process === one.process)
      assert.deepEqual(left, [{ process: one.process, nonce: 2 }])
      const shown: (string | undefined)[] = []
      for await (const { message } of store.scheduled(one.process, { from: 0 as Nonce })) shown.push(message?.id)
      assert.deepEqual(shown, [undefined, undefined, one.entries[2]?.message?.id, undefined])
      assert.equal(await store.nonceOf(one.process, one.entries[1]?.assignment.message ?? anId()), 1)
      await store.forgetAfter(one.process, -1 as Nonce)
      const others = other.entries.reduce((sum, { message }) => sum + (message?.raw.length ?? 0), 0)
      assert.deepEqual(await store.keptItemsTotals(), { items: 4, bytes: others })
      await store.dropItems(one.process, [])
    })

    it('reads the Results that have no error, in either direction, between bounds', async () => {
      const entries = await schedule(await aProcess(), await messages(process, 4))
      for (const [i, { assignment }] of entries.entries()) {
        await store.put(await aRow(assignment, 'ok', i === 2 ? 'it failed' : undefined))
      }
      const nonces = async (range: { after?: number; to?: number; descending?: boolean }): Promise<number[]> => {
        const found: number[] = []
        const { after, to, descending = false } = range as { after?: Nonce; to?: Nonce; descending?: boolean }
        for await (const { result } of store.succeeded(process, { after, to, descending })) found.push(result.nonce)
        return found
      }
      assert.deepEqual(await nonces({}), [0, 1, 3, 4])
      assert.deepEqual(await nonces({ descending: true }), [4, 3, 1, 0])
      assert.deepEqual(await nonces({ after: 0, to: 3 }), [1, 3])
      assert.deepEqual(await nonces({ after: 1, to: 2 }), [])
      assert.deepEqual(await nonces({ after: 3, to: 1 }), [])
      assert.deepEqual(await nonces({ after: 1, to: 100, descending: true }), [4, 3])
    })

    it('takes the same row again', async () => {
      const [row] = rows
      assert.ok(row)
      await store.put(row)
      await store.put(row)
      assert.equal((await store.newest(process))?.result.nonce, 0)
    })

    it('refuses another row for a stored nonce with EQUIVOCATION and keeps the first', async () => {
      const [row] = rows
      assert.ok(row)
      await store.put(row)
      await assert.rejects(store.put(await aRow(row.assignment, 'something else')), { code: 'EQUIVOCATION' })
      assert.equal((await store.get(process, 0 as Nonce))?.result.output, 'ok')
    })

    it('lets one of two rows that race for a nonce win', async () => {
      const [row] = rows
      assert.ok(row)
      const rivals = await Promise.all(['a', 'b', 'c', 'd'].map(output => aRow(row.assignment, output)))
      const outcomes = await Promise.allSettled(rivals.map(rival => store.put(rival)))
      const won = outcomes.flatMap((outcome, i) => (outcome.status === 'fulfilled' ? [rivals[i]] : []))
      assert.equal(won.length, 1)
      assert.equal((await store.get(process, 0 as Nonce))?.result.output, won[0]?.result.output)
    })
  })
}

async function aRow(assignment: StoredResult['assignment'], output: string, error?: string): Promise<StoredResult> {
  const { process, nonce } = assignment
  const outbox = {
    ...emptyOutbox,
    messages: [{ target: anId('target'), anchor: '', tags: [{ name: 'Action', value: 'Pong' }], data: output }],
  }
  const root = { stateRoot: anId(`state ${nonce}`), stateNonce: nonce }
  const result = { process, nonce, outbox, output, error, gasUsed: 7n, ...root }
  const at = { assignment, module: anId<never>('module'), meter: 'none-1', previousStateRoot: anId('before') }
  const attestation = await testSigner('cu').sign(draftAttestation(attestationOf(result, at)))
  return { assignment, result, attestation: attestation.raw }
}

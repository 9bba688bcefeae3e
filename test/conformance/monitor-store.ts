import assert from 'node:assert/strict'
import type { MonitoredProcess, MonitorStore } from '../../src/ports/monitor-store.ts'
import type { Nonce, ProcessId } from '../../src/protocol/ids.ts'
import { anId } from '../support/builders.ts'

/** What every MonitorStore promises. `again` opens what is stored anew, as a restart does. */
export function monitorStoreSuite(
  name: string,
  create: () => Promise<{ store: MonitorStore; again(): MonitorStore; close(): Promise<void> }>,
): void {
  describe(`MonitorStore: ${name}`, () => {
    const [a, b] = [anId<ProcessId>('a'), anId<ProcessId>('b')]
    const byProcess = (rows: readonly MonitoredProcess[]) => [...rows].sort((x, y) => (x.process < y.process ? -1 : 1))
    let made: Awaited<ReturnType<typeof create>>
    beforeEach(async () => {
      made = await create()
    })
    afterEach(() => made.close())

    it('begins with none', async () => {
      assert.deepEqual(await made.store.all(), [])
    })

    it('gives back every kind of place, also after a restart, and the newest of a Process alone', async () => {
      const cron = { timestamp: 1_700_000_000_000, blockHeight: 1_500_000, id: '0-10-seconds' }
      const entries: MonitoredProcess[] = [
        { process: a, after: { timestamp: 1_699_999_999_999 } },
        { process: b, after: { nonce: 7 as Nonce } },
        { process: a, after: { nonce: 9 as Nonce, cron } },
      ]
      for (const entry of entries) await made.store.put(entry)
      const expected = byProcess(entries.slice(1))
      assert.deepEqual(byProcess(await made.store.all()), expected)
      assert.deepEqual(byProcess(await made.again().all()), expected)
    })

    it('forgets one without touching others, and takes it up again', async () => {
      const entries = [a, b].map(process => ({ process, after: { timestamp: 1 } }))
      for (const entry of entries) await made.store.put(entry)
      await made.store.remove(a)
      await made.store.remove(a)
      assert.deepEqual(await made.again().all(), entries.slice(1))
      const later = { process: a, after: { timestamp: 2 } }
      await made.store.put(later)
      assert.deepEqual(byProcess(await made.again().all()), byProcess([...entries.slice(1), later]))
    })

    it('keeps what is written at once', async () => {
      const many = Array.from({ length: 50 }, (_, i) => ({
        process: anId<ProcessId>(`many ${i}`),
        after: { timestamp: i },
      }))
      await Promise.all(many.map(entry => made.store.put(entry)))
      assert.deepEqual(byProcess(await made.again().all()), byProcess(many))
    })
  })
}

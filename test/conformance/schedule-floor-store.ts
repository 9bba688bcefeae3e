import assert from 'node:assert/strict'
import type { ScheduleFloor, ScheduleFloorStore } from '../../src/ports/schedule-floor.ts'
import { anId } from '../support/builders.ts'

/** What every ScheduleFloorStore promises. `again` opens what is stored anew, as a restart does. */
export function scheduleFloorStoreSuite(
  name: string,
  create: () => Promise<{ store: ScheduleFloorStore; again(): ScheduleFloorStore; close(): Promise<void> }>,
): void {
  describe(`ScheduleFloorStore: ${name}`, () => {
    const floorAt = (timestamp: number): ScheduleFloor => ({
      timestamp,
      block: { height: 1_500_000 + timestamp, hash: anId(`block ${timestamp}`), timestamp: timestamp - 1 },
    })
    let made: Awaited<ReturnType<typeof create>>
    beforeEach(async () => {
      made = await create()
    })
    afterEach(() => made.close())

    it('begins with none', async () => {
      assert.equal(await made.store.get(), undefined)
    })

    it('gives back the last floor, also after a restart', async () => {
      for (const timestamp of [1_700_000_000_000, 1_700_000_000_500]) {
        const floor = floorAt(timestamp)
        await made.store.put(floor)
        assert.deepEqual(await made.store.get(), floor)
        assert.deepEqual(await made.again().get(), floor)
      }
    })

    it('keeps the order of writes that are made at once', async () => {
      const floors = Array.from({ length: 20 }, (_, i) => floorAt(i))
      await Promise.all(floors.map(floor => made.store.put(floor)))
      assert.deepEqual(await made.again().get(), floors.at(-1))
    })
  })
}

import { toUtf8, utf8 } from '../lib/bytes.ts'
import type { ScheduleFloor, ScheduleFloorStore } from '../ports/schedule-floor.ts'
import { decoding } from './decoding.ts'
import { KeySpace } from './keys.ts'
import { put, type Store } from './store.ts'

/** One row: the floor as JSON. */
const floors = new KeySpace('schedule-floor')

/** The ScheduleFloorStore on disk. */
export class LevelScheduleFloor implements ScheduleFloorStore {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  async get(): Promise<ScheduleFloor | undefined> {
    const row = await this.#store.get(floors.key())
    return row && decoding('schedule-floor', () => JSON.parse(toUtf8(row)) as ScheduleFloor)
  }

  put(floor: ScheduleFloor): Promise<void> {
    return this.#store.write([put(floors.key(), utf8(JSON.stringify(floor)))])
  }
}

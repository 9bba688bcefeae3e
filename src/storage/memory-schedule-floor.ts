import type { ScheduleFloor, ScheduleFloorStore } from '../ports/schedule-floor.ts'

/** A ScheduleFloorStore that forgets everything at the end of the program. */
export class MemoryScheduleFloor implements ScheduleFloorStore {
  #floor: ScheduleFloor | undefined

  async get(): Promise<ScheduleFloor | undefined> {
    return this.#floor
  }

  async put(floor: ScheduleFloor): Promise<void> {
    this.#floor = floor
  }
}

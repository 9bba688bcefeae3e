import type { MonitoredProcess, MonitorStore } from '../ports/monitor-store.ts'
import type { ProcessId } from '../protocol/ids.ts'

/** A MonitorStore that forgets everything at the end of the program. */
export class MemoryMonitorStore implements MonitorStore {
  readonly #rows = new Map<ProcessId, MonitoredProcess>()

  async all(): Promise<readonly MonitoredProcess[]> {
    return [...this.#rows.values()]
  }

  async put(monitored: MonitoredProcess): Promise<void> {
    this.#rows.set(monitored.process, monitored)
  }

  async remove(process: ProcessId): Promise<void> {
    this.#rows.delete(process)
  }
}

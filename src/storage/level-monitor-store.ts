import { toUtf8, utf8 } from '../lib/bytes.ts'
import type { MonitoredProcess, MonitorStore } from '../ports/monitor-store.ts'
import type { ProcessId } from '../protocol/ids.ts'
import { decoding } from './decoding.ts'
import { idPart, KeySpace } from './keys.ts'
import { del, put, type Store } from './store.ts'

/** process → the MonitoredProcess as JSON. */
const rows = new KeySpace('monitor')

/** The MonitorStore on disk. */
export class LevelMonitorStore implements MonitorStore {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  async all(): Promise<readonly MonitoredProcess[]> {
    const found: MonitoredProcess[] = []
    for await (const [, value] of this.#store.entries(rows.range())) {
      found.push(decoding('monitor', () => JSON.parse(toUtf8(value)) as MonitoredProcess))
    }
    return found
  }

  put(monitored: MonitoredProcess): Promise<void> {
    return this.#store.write([put(rows.key(idPart(monitored.process)), utf8(JSON.stringify(monitored)))])
  }

  remove(process: ProcessId): Promise<void> {
    return this.#store.write([del(rows.key(idPart(process)))])
  }
}

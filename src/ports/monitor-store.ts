import type { ProcessId } from '../protocol/ids.ts'
import type { ResultBound } from './units.ts'

/** A Process whose cron messages are pushed, and the last place that was looked at. */
export interface MonitoredProcess {
  readonly process: ProcessId
  readonly after: ResultBound
}

/** The MU's durable list of what it monitors. Each write resolves when on disk. */
export interface MonitorStore {
  all(): Promise<readonly MonitoredProcess[]>
  put(monitored: MonitoredProcess): Promise<void>
  remove(process: ProcessId): Promise<void>
}

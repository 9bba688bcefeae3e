import type { ScheduledMessage } from '../../protocol/assignment.ts'
import { Broadcast, type BroadcastDeps } from '../broadcast.ts'

/** Tells the network of Assignments that are durable. Best effort: whoever misses one reads the schedule. */
export class Announcer {
  readonly #broadcast: Broadcast

  constructor(deps: BroadcastDeps, maxUnsent: number) {
    this.#broadcast = new Broadcast(deps, 'assignments', maxUnsent)
  }

  announce(batch: readonly ScheduledMessage[]): void {
    this.#broadcast.send(...batch.map(({ assignment }) => assignment.raw))
  }

  stop(): Promise<void> {
    return this.#broadcast.stop()
  }
}

import { type AbortOptions, raceSignal, sleep, throwIfAborted, withDeadline } from '../../lib/abort.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import type { Gossip } from '../../ports/peers.ts'
import type { Scheduler } from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { verifyDataItem } from '../../protocol/data-item.ts'
import type { Id, MessageId, ProcessId } from '../../protocol/ids.ts'
import { processOf } from './gossip-intake.ts'

export interface GossipSubmitterDeps {
  readonly gossip: Gossip
  readonly scheduler: Scheduler
}

export interface GossipSubmitterOptions {
  readonly maxItemBytes: number
  /** Submissions that wait for their Assignment. */
  readonly maxWaiting: number
  /** In milliseconds: enough for four MUs to take their turns. */
  readonly deadlineMs: number
  /** How often the SU is asked, in milliseconds, for gossip may not tell. */
  readonly askMs: number
}
export const defaultGossipSubmitterOptions: GossipSubmitterOptions = {
  maxItemBytes: 256 * 1024,
  maxWaiting: 1_000,
  deadlineMs: 20_000,
  askMs: 1_000,
}

/** Publishes a message for whichever MU takes it, and waits until it is ordered: the way of a node that reaches no MU. */
export class GossipSubmitter {
  readonly #deps: GossipSubmitterDeps
  readonly #options: GossipSubmitterOptions
  readonly #waiting = new Map<MessageId, (assignment: Assignment) => void>()

  constructor(deps: GossipSubmitterDeps, options: GossipSubmitterOptions = defaultGossipSubmitterOptions) {
    this.#deps = deps
    this.#options = options
  }

  /** Told of each Assignment that was judged good. */
  onAssignment(assignment: Assignment): void {
    this.#waiting.get(assignment.message)?.(assignment)
  }

  /** @throws AoError `INVALID_DATA_ITEM` | `TOO_LARGE` | `OVERLOADED`, `DEADLINE` if nobody had it ordered in time. */
  async submit(bytes: Uint8Array, options: AbortOptions = {}): Promise<Assignment> {
    const item = await verifyDataItem(bytes, { maxBytes: this.#options.maxItemBytes })
    const process = processOf(item)
    const message = item.id as Id as MessageId
    if (this.#waiting.size >= this.#options.maxWaiting) {
      throw new AoError('OVERLOADED', 'too many messages wait to be taken by an MU', { waiting: this.#waiting.size })
    }
    const ending = new AbortController()
    const limit = withDeadline(this.#options.deadlineMs, options)
    const signal = AbortSignal.any([limit, ending.signal])
    try {
      const told = new Promise<Assignment>(resolve => this.#waiting.set(message, resolve))
      await this.#deps.gossip.publish('messages', item.raw)
      return await raceSignal(Promise.race([told, this.#ask(process, message, signal)]), { signal: limit })
    } finally {
      this.#waiting.delete(message)
      ending.abort()
    }
  }

  async #ask(process: ProcessId, message: MessageId, signal: AbortSignal): Promise<Assignment> {
    for (;;) {
      await sleep(this.#options.askMs, { signal })
      try {
        return await this.#deps.scheduler.assignment(process, message, { signal })
      } catch (error) {
        throwIfAborted(signal)
        if (!hasCode(error, 'UNKNOWN_MESSAGE', 'UNKNOWN_PROCESS', 'PEER_UNREACHABLE', 'OVERLOADED')) throw error
      }
    }
  }
}

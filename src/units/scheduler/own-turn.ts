import { LRUCache } from 'lru-cache'
import { AoError } from '../../lib/errors.ts'
import type { AssignmentLog } from '../../ports/assignment-log.ts'
import type { HostTable } from '../../ports/hosts.ts'
import type { Address, Nonce, ProcessId } from '../../protocol/ids.ts'

export interface OwnTurnDeps {
  readonly address: Address
  readonly log: Pick<AssignmentLog, 'at'>
  /** Absent: whoever has a Process in its log hosts it. */
  readonly hosts?: HostTable | undefined
}

/**
 * Whether it is this scheduler's turn to order a Process: by the host table, and with the log of all turns before.
 *
 * Invariant: what it orders is of the turn that the table gave it, so two schedulers never order one (epoch, nonce).
 */
export class OwnTurn {
  readonly #deps: OwnTurnDeps
  readonly #firsts = new LRUCache<ProcessId, Address>({ max: 10_000 })
  /** The epoch whose earlier log was seen to be here. */
  readonly #taken = new LRUCache<ProcessId, number>({ max: 10_000 })

  constructor(deps: OwnTurnDeps) {
    this.#deps = deps
  }

  /**
   * @param first the `Scheduler` tag of the Process.
   * @throws AoError `WRONG_UNIT` if another hosts it, `NOT_READY` while nobody does or its log is still collected.
   */
  async assert(process: ProcessId, first: Address): Promise<void> {
    const { hosts, address } = this.#deps
    if (hosts === undefined) return
    this.#firsts.set(process, first)
    const host = hosts.hostOf(process, first)
    if (host === undefined) throw noHost(process)
    if (host.scheduler !== address) throw hostedElsewhere(process, host.scheduler)
    if (host.epoch === 0 || this.#taken.get(process) === host.epoch) return
    const last = hosts.epochsOf(process, first).at(-2)?.last
    if (last === undefined || (await this.#deps.log.at(process, last.nonce as Nonce))?.id !== last.assignment) {
      throw stillCollecting(process, host.epoch)
    }
    this.#taken.set(process, host.epoch)
  }

  /** For a Process that was asserted before. */
  epochOf(process: ProcessId): number {
    const { hosts, address } = this.#deps
    const first = this.#firsts.get(process)
    const host = first === undefined ? undefined : hosts?.hostOf(process, first)
    return host?.scheduler === address ? host.epoch : 0 // lost since: what is still queued belongs to the turn before
  }
}

const noHost = (process: ProcessId): AoError =>
  new AoError(
    'NOT_READY',
    'the Process has no host: its scheduler was found guilty',
    { process },
    { hint: 'Wait until another scheduler has taken it over.' },
  )

const hostedElsewhere = (process: ProcessId, scheduler: Address): AoError =>
  new AoError(
    'WRONG_UNIT',
    'another scheduler hosts the Process',
    { process, scheduler },
    { hint: 'Send it to that scheduler, or to any MU.' },
  )

const stillCollecting = (process: ProcessId, epoch: number): AoError =>
  new AoError(
    'NOT_READY',
    'the scheduler is still collecting the log of the Process that it took over',
    { process, epoch },
    { hint: 'Try again in a few seconds.' },
  )

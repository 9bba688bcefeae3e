import { LRUCache } from 'lru-cache'
import type { AbortOptions } from '../../lib/abort.ts'
import { hasCode } from '../../lib/errors.ts'
import type { PeerDirectory } from '../../ports/peers.ts'
import type {
  AssignRequest,
  CrankOptions,
  CrankProgress,
  FollowOptions,
  LocalUnits,
  Messenger,
  RemoteUnits,
} from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { Address, MessageId, ProcessId } from '../../protocol/ids.ts'
import { type Candidate, firstAnswer } from './failover.ts'

export interface RoutedMessengerDeps {
  readonly local: Pick<LocalUnits, 'address' | 'messenger'>
  readonly directory: PeerDirectory
  readonly remote: RemoteUnits
  /** For when no MU can be reached: publishes the message for any of them. */
  readonly byGossip?: { submit(bytes: Uint8Array, options?: AbortOptions): Promise<Assignment> } | undefined
}

/** Hands messages to this node's MU, or to the best one of the network. Sending twice is harmless: the id decides. */
export class RoutedMessenger implements Messenger {
  readonly #deps: RoutedMessengerDeps
  /** Who took a message, so that its progress is asked there first. */
  readonly #takenBy = new LRUCache<string, Address>({ max: 10_000 })

  constructor(deps: RoutedMessengerDeps) {
    this.#deps = deps
  }

  async submit(bytes: Uint8Array, options: AbortOptions = {}): Promise<Assignment> {
    try {
      return await this.#ask(this.#candidates(), options, async ({ address, unit }) => {
        const assignment = await unit.submit(bytes, options)
        this.#takenBy.set(keyOf(assignment.process, assignment.message), address)
        return assignment
      })
    } catch (error) {
      const { byGossip, local } = this.#deps
      // An MU that answers that the Process's SU cannot be reached has been reached itself.
      const noMessenger = hasCode(error, 'PEER_UNREACHABLE') && error.facts['scheduler'] === undefined
      if (byGossip === undefined || local.messenger !== undefined || !noMessenger) throw error
      return byGossip.submit(bytes, options)
    }
  }

  promise(bytes: Uint8Array, options: AbortOptions = {}): Promise<DataItem> {
    return this.#ask(this.#candidates(), options, ({ unit }) => unit.promise(bytes, options))
  }

  assign(request: AssignRequest, options: AbortOptions = {}): Promise<Assignment> {
    return this.#ask(this.#candidates(), options, async ({ address, unit }) => {
      const assignment = await unit.assign(request, options)
      this.#takenBy.set(keyOf(assignment.process, assignment.message), address)
      return assignment
    })
  }

  monitor(process: ProcessId, options: AbortOptions = {}): Promise<void> {
    return this.#ask(this.#candidates(), options, ({ unit }) => unit.monitor(process, options))
  }

  /** Each MU is asked, for any may have been told to monitor. @throws AoError `UNKNOWN_PROCESS` if none was. */
  async unmonitor(process: ProcessId, options: AbortOptions = {}): Promise<void> {
    const outcomes = await Promise.allSettled(this.#candidates().map(({ unit }) => unit.unmonitor(process, options)))
    if (outcomes.some(({ status }) => status === 'fulfilled')) return
    const [first] = outcomes
    if (first?.status === 'rejected') throw first.reason
    await this.#ask([], options, async () => undefined) // no MU at all: says so
  }

  crank(process: ProcessId, message: MessageId, options: CrankOptions = {}): Promise<void> {
    return this.#ask(this.#candidates(), options, async ({ address, unit }) => {
      await unit.crank(process, message, options)
      this.#takenBy.set(keyOf(process, message), address)
    })
  }

  /** Asks each MU until one has the message. @throws AoError `UNKNOWN_MESSAGE` if none has. */
  async *follow(process: ProcessId, message: MessageId, options: FollowOptions = {}): AsyncIterable<CrankProgress> {
    const takenBy = this.#takenBy.get(keyOf(process, message))
    const candidates = [...this.#candidates()].sort(
      (a, b) => Number(b.address === takenBy) - Number(a.address === takenBy),
    )
    let unknown: unknown
    for (const { unit } of candidates) {
      try {
        yield* unit.follow(process, message, options)
        return
      } catch (error) {
        if (!hasCode(error, 'UNKNOWN_MESSAGE', 'PEER_UNREACHABLE')) throw error
        unknown = unknown === undefined || hasCode(error, 'UNKNOWN_MESSAGE') ? error : unknown
      }
    }
    if (unknown !== undefined) throw unknown
    await this.#ask([], options, async () => undefined) // no MU at all: says so
  }

  #ask<R>(
    candidates: readonly Candidate<Messenger>[],
    { signal }: AbortOptions,
    call: (candidate: Candidate<Messenger>) => Promise<R>,
  ): Promise<R> {
    return firstAnswer(candidates, call, { role: 'MU', directory: this.#deps.directory, signal })
  }

  #candidates(): readonly Candidate<Messenger>[] {
    const { local, directory, remote } = this.#deps
    const others = directory
      .find('MU')
      .filter(({ address }) => address !== local.address)
      .map(record => ({ address: record.address, unit: remote.messenger(record), local: false }))
    if (local.messenger === undefined) return others
    return [{ address: local.address, unit: local.messenger, local: true }, ...others]
  }
}

const keyOf = (process: ProcessId, message: MessageId): string => `${process} ${message}`

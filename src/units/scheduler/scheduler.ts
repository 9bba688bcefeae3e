import { LRUCache } from 'lru-cache'
import type { LogHead } from '../../economy/rows.ts'
import { type AbortOptions, raceSignal, throwIfAborted } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Component } from '../../lib/component.ts'
import { AoError } from '../../lib/errors.ts'
import { failpoint } from '../../lib/failpoint.ts'
import { SingleFlight } from '../../lib/single-flight.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { AssignmentLog } from '../../ports/assignment-log.ts'
import type { HostTable } from '../../ports/hosts.ts'
import type { Gossip } from '../../ports/peers.ts'
import type { ScheduleFloorStore } from '../../ports/schedule-floor.ts'
import type { OwnSession, PeerMemory } from '../../ports/session.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { SignGuard } from '../../ports/sign-guard.ts'
import type { AssignRequest, NonceRange, ScheduleClock, Scheduler } from '../../ports/units.ts'
import type { Assignment, BlockAnchor, ScheduledMessage } from '../../protocol/assignment.ts'
import { type DataItem, defaultItemLimits } from '../../protocol/data-item.ts'
import type { Address, MessageId, Nonce, ProcessId } from '../../protocol/ids.ts'
import type { Signer } from '../../protocol/keys.ts'
import { parseAoItem, parseProcessSpec } from '../../protocol/message.ts'
import { type Origin, originOf } from '../../protocol/origin.ts'
import type { UnitRecord } from '../../protocol/unit-record.ts'
import { Bells } from '../bell.ts'
import { type AdoptedRow, adoptLog } from './adopt.ts'
import { Announcer } from './announce.ts'
import { assertAssignable, assertCanBegin, settlementDepthOf } from './assignable.ts'
import { ChainHead } from './chain-head.ts'
import { OwnTurn } from './own-turn.ts'
import { PromisedClock } from './promised-clock.ts'
import { stopping } from './refusals.ts'
import { Sequencer } from './sequencer.ts'
import { ShownProcesses } from './shown.ts'
import { TwinWatch } from './twin-watch.ts'

export interface SchedulerUnitDeps {
  /** Its address is what the `Scheduler` tag of each hosted Process names. */
  readonly signer: Signer
  readonly log: AssignmentLog
  /** Over the same store as the log. */
  readonly guard: SignGuard
  readonly floor: ScheduleFloorStore
  readonly arweave: ArweaveClient
  readonly gossip: Gossip
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Which start this is, and whom to ask whether it is the newest and only one of its key. */
  readonly session?: OwnSession | undefined
  readonly peers?: PeerMemory | undefined
  /** Told of the newest durable Assignment of each Process of a batch: a CU in this program need not wait to be asked. */
  readonly onOrdered?: ((newest: Assignment) => void) | undefined
  /** Absent: whoever has a Process in its log hosts it. */
  readonly hosts?: HostTable | undefined
  /** What its operator does not take: throws. */
  readonly policy?: ((message: DataItem) => void) | undefined
}

export interface SchedulerUnitOptions {
  readonly maxItemBytes: number
  /** Messages queued for a nonce. */
  readonly maxPending: number
  /** Messages of one Process among them. */
  readonly maxPendingPerProcess: number
  /** Their bytes. */
  readonly maxPendingBytes: number
  /** Messages of one disk sync. */
  readonly maxBatch: number
  readonly maxBatchBytes: number
  /** Readers that follow a schedule. */
  readonly maxFollowers: number
  /** Announcements that gossip has not taken yet. */
  readonly maxUnsent: number
  readonly headPollMs: number
}
export const defaultSchedulerUnitOptions: SchedulerUnitOptions = {
  maxItemBytes: defaultItemLimits.maxBytes,
  maxPending: 10_000,
  maxPendingPerProcess: 4_000,
  maxPendingBytes: 256 * 1024 * 1024,
  maxBatch: 256, // beyond that a sync is no longer what costs: architecture.md, example 1
  maxBatchBytes: 16 * 1024 * 1024, // a larger batch would make the others wait for one disk write
  maxFollowers: 10_000,
  maxUnsent: 10_000,
  headPollMs: 5_000,
}

/** What is asked of a Process at every message for it. */
interface Hosted {
  /** Its `Scheduler` tag. */
  readonly first: Address
  readonly authorities: readonly Address[]
  /** Confirmations that a transaction of Arweave itself needs before it is assigned. */
  readonly settlementDepth: number
}

/** The SU: orders the messages of the Processes whose host it is, by their `Scheduler` tag or by the host table. */
export class SchedulerUnit implements Scheduler, Component {
  readonly name = 'scheduler unit'
  readonly #deps: SchedulerUnitDeps
  readonly #options: SchedulerUnitOptions
  readonly #head: ChainHead
  readonly #twins: TwinWatch
  readonly #sequencer: Sequencer
  readonly #announcer: Announcer
  readonly #shown: ShownProcesses
  readonly #clock: PromisedClock
  readonly #turn: OwnTurn
  readonly #flights = new SingleFlight<string, Assignment>()
  readonly #known = new LRUCache<ProcessId, Hosted>({ max: 10_000 })
  readonly #followers: Bells<ProcessId>
  #stopping = false

  constructor(deps: SchedulerUnitDeps, options: SchedulerUnitOptions = defaultSchedulerUnitOptions) {
    this.#deps = deps
    this.#options = options
    this.#head = new ChainHead(deps, { pollMs: options.headPollMs })
    this.#announcer = new Announcer(deps, options.maxUnsent)
    this.#shown = new ShownProcesses(deps)
    this.#followers = new Bells(options.maxFollowers)
    this.#turn = new OwnTurn({ ...deps, address: deps.signer.address })
    this.#twins = new TwinWatch({ ...deps, address: deps.signer.address })
    this.#clock = new PromisedClock(deps.clock, deps.floor)
    const block = (): BlockAnchor => {
      this.#twins.assertAlone()
      return this.#clock.highest(this.#head.current())
    }
    const onDurable = (batch: readonly ScheduledMessage[]): void => this.#spread(batch)
    this.#sequencer = new Sequencer(
      { ...deps, clock: this.#clock, block, onDurable, epochOf: process => this.#turn.epochOf(process) },
      options,
    )
    deps.telemetry.metrics.gauge(
      'aonet_scheduler_followers',
      'Readers that follow a schedule',
      () => this.#followers.size,
    )
  }

  /** @throws AoError `STORE_CORRUPT` if what a crash left half done cannot be read. */
  async start(): Promise<void> {
    this.#stopping = false
    await this.#clock.start()
    await this.#sequencer.start()
    failpoint('su-started')
    await this.#twins.start()
    await this.#head.start()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#sequencer.stop()
    this.#followers.ringAll()
    await this.#announcer.stop()
    await this.#shown.stop()
    await this.#head.stop()
    await this.#twins.stop()
  }

  /** Signal: heard by the wait alone; once queued, the message is ordered. */
  async schedule(message: DataItem, { signal }: AbortOptions = {}): Promise<Assignment> {
    throwIfAborted(signal)
    failpoint('su-asked')
    const { process, origin } = await this.#admit(message, { signal })
    failpoint('su-admitted')
    const flight = this.#flights.run(`${process} ${message.id}`, () =>
      this.#sequencer.append(process, message, { origin }),
    )
    const assignment = await raceSignal(flight, { signal })
    failpoint('su-answering')
    return assignment
  }

  /** Signal: heard by the look at Arweave and by the wait; once queued, the item is ordered. */
  async assign(request: AssignRequest, { signal }: AbortOptions = {}): Promise<Assignment> {
    throwIfAborted(signal)
    if (this.#stopping) throw stopping()
    const { process, item, exclude } = request
    const { settlementDepth, first } = await this.#hosted(process)
    await this.#turn.assert(process, first)
    const known = await this.#deps.log.find(process, item)
    if (known !== undefined) return known
    await assertAssignable(request, { arweave: this.#deps.arweave, settlementDepth, signal })
    const flight = this.#flights.run(`${process} ${item}`, () => this.#sequencer.assign(process, item, { exclude }))
    return raceSignal(flight, { signal })
  }

  async clock(process: ProcessId): Promise<ScheduleClock> {
    await this.#turn.assert(process, (await this.#hosted(process)).first)
    this.#twins.assertAlone()
    const { timestamp, block } = await this.#clock.promise(this.#head.current())
    await this.#sequencer.settled(process) // what was stamped before the promise is in the log now
    const tail = await this.#deps.log.tail(process)
    if (tail === undefined) throw unknownProcess(process)
    return { nonce: tail.nonce, timestamp, blockHeight: block.height }
  }

  async assignment(process: ProcessId, at: MessageId | Nonce | 'newest'): Promise<Assignment> {
    const { log } = this.#deps
    await this.#hosted(process)
    const found =
      at === 'newest'
        ? await log.tail(process)
        : typeof at === 'number'
          ? await log.at(process, at)
          : await log.find(process, at)
    if (found !== undefined) return found
    throw new AoError(
      'UNKNOWN_MESSAGE',
      'no such message is ordered in this Process',
      { process, at },
      { hint: 'Check the id or nonce; a message sent through another node may still arrive.' },
    )
  }

  async process(process: ProcessId): Promise<DataItem> {
    const item = await this.#deps.log.process(process)
    if (item === undefined) throw unknownProcess(process)
    return item
  }

  /** A reader that follows ends when its signal fires, and with `STOPPING` when this unit stops. */
  async *read(process: ProcessId, range: NonceRange, { signal }: AbortOptions = {}): AsyncIterable<ScheduledMessage> {
    const { log } = this.#deps
    await this.#hosted(process)
    const bell = range.follow ? this.#followers.hang(process) : undefined
    try {
      let next: number = range.from
      for (;;) {
        const tail = (await log.tail(process))?.nonce ?? -1
        const to = Math.min(range.to ?? tail, tail)
        if (next <= to) {
          for await (const scheduled of log.read(process, { from: next as Nonce, to: to as Nonce })) {
            throwIfAborted(signal)
            yield scheduled
            next = scheduled.assignment.nonce + 1
          }
        }
        if (bell === undefined || (range.to !== undefined && next > range.to)) return
        if (this.#stopping) throw stopping()
        await bell.wait({ signal })
      }
    } catch (error) {
      if (bell === undefined || signal?.aborted !== true) throw error
    } finally {
      if (bell !== undefined) this.#followers.take(process, bell)
    }
  }

  /** The newest Assignment in this scheduler's own log, whoever signed it. */
  tail(process: ProcessId): Promise<Assignment | undefined> {
    return this.#deps.log.tail(process)
  }

  /** Whether this scheduler's own log has that Assignment there. */
  async holds(process: ProcessId, { nonce, assignment }: LogHead): Promise<boolean> {
    return (await this.#deps.log.at(process, nonce as Nonce))?.id === assignment
  }

  /** Takes over the log of a Process up to where this scheduler's turn begins. @throws AoError as `adoptLog`. */
  async adopt(process: ProcessId, rows: readonly AdoptedRow[]): Promise<void> {
    await adoptLog(this.#deps.log, process, rows)
    this.#followers.ring(process)
  }

  /** Why nothing can be ordered now; undefined if it can. */
  obstacle(): AoError | undefined {
    try {
      this.#twins.assertAlone()
      this.#head.current()
      return undefined
    } catch (error) {
      return AoError.from(error)
    }
  }

  /** To be told of the Assignments that gossip brings: another node with this key would be among them. */
  onAssignment(assignment: Assignment): void {
    this.#twins.onAssignment(assignment)
  }

  /** To be told of each unit record that is seen: another session of this key would be among them. */
  onRecord(record: UnitRecord): void {
    this.#twins.onRecord(record)
  }

  async #admit(message: DataItem, options: AbortOptions): Promise<{ process: ProcessId; origin: Origin | undefined }> {
    if (this.#stopping) throw stopping()
    const { raw } = message
    const limit = this.#options.maxItemBytes
    if (raw.length > limit) {
      throw new AoError('TOO_LARGE', 'the data item is too large', { bytes: raw.length, limit })
    }
    const ao = parseAoItem(message)
    const { process } = ao
    this.#deps.policy?.(message)
    if (ao.type === 'Message') {
      const { authorities, first } = await this.#hosted(process)
      await this.#turn.assert(process, first)
      return { process, origin: originOf(message, authorities) }
    }
    const { scheduler } = ao.spec
    const asked = this.#deps.signer.address
    if (scheduler === asked) {
      await assertCanBegin(message, { arweave: this.#deps.arweave, ...options })
      return { process, origin: undefined }
    }
    throw new AoError(
      'WRONG_UNIT',
      'the Process names another scheduler',
      { process, scheduler, asked },
      { hint: 'Send it to the scheduler that its Scheduler tag names.' },
    )
  }

  async #hosted(process: ProcessId): Promise<Hosted> {
    const known = this.#known.get(process)
    if (known !== undefined) return known
    const item = await this.#deps.log.process(process)
    if (item === undefined) throw unknownProcess(process)
    const { scheduler: first, authorities } = parseProcessSpec(item.tags)
    const hosted = {
      first,
      authorities,
      settlementDepth: settlementDepthOf(item.tags),
    }
    this.#known.set(process, hosted)
    return hosted
  }

  #spread(batch: readonly ScheduledMessage[]): void {
    failpoint('su-announcing')
    this.#announcer.announce(batch)
    this.#shown.show(batch)
    const newest = new Map(batch.map(({ assignment }) => [assignment.process, assignment]))
    for (const [process, assignment] of newest) {
      this.#followers.ring(process)
      this.#deps.onOrdered?.(assignment)
    }
  }
}

const unknownProcess = (process: ProcessId): AoError =>
  new AoError(
    'UNKNOWN_PROCESS',
    'this scheduler does not host the Process',
    { process },
    { hint: 'Spawn it first, or ask the scheduler that its Scheduler tag names.' },
  )

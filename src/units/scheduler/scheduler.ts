import type { LogHead } from '../../economy/rows.ts'
import { type AbortOptions, raceSignal, throwIfAborted } from '../../lib/abort.ts'
import type { Component } from '../../lib/component.ts'
import { AoError } from '../../lib/errors.ts'
import { failpoint } from '../../lib/failpoint.ts'
import { SingleFlight } from '../../lib/single-flight.ts'
import type { AssignRequest, NonceRange, ScheduleClock, Scheduler } from '../../ports/units.ts'
import type { Assignment, BlockAnchor, ScheduledMessage } from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { MessageId, Nonce, ProcessId } from '../../protocol/ids.ts'
import type { UnitRecord } from '../../protocol/unit-record.ts'
import { Admission } from './admission.ts'
import { type AdoptedRow, adoptLog } from './adopt.ts'
import { Announcer } from './announce.ts'
import { assertAssignable } from './assignable.ts'
import { ChainHead } from './chain-head.ts'
import { OwnTurn } from './own-turn.ts'
import { PromisedClock } from './promised-clock.ts'
import { stopping, unknownProcess } from './refusals.ts'
import { ScheduleReader } from './schedule-reader.ts'
import { defaultSchedulerUnitOptions, type SchedulerUnitDeps, type SchedulerUnitOptions } from './scheduler-options.ts'
import { Sequencer } from './sequencer.ts'
import { ShownProcesses } from './shown.ts'
import { TwinWatch } from './twin-watch.ts'

/** The SU: orders the messages of the Processes whose host it is, by their `Scheduler` tag or by the host table. */
export class SchedulerUnit implements Scheduler, Component {
  readonly name = 'scheduler unit'
  readonly #deps: SchedulerUnitDeps
  readonly #head: ChainHead
  readonly #twins: TwinWatch
  readonly #sequencer: Sequencer
  readonly #announcer: Announcer
  readonly #shown: ShownProcesses
  readonly #clock: PromisedClock
  readonly #turn: OwnTurn
  readonly #flights = new SingleFlight<string, Assignment>()
  readonly #admission: Admission
  readonly #reader: ScheduleReader
  #stopping = false

  constructor(deps: SchedulerUnitDeps, options: SchedulerUnitOptions = defaultSchedulerUnitOptions) {
    this.#deps = deps
    this.#head = new ChainHead(deps, { pollMs: options.headPollMs, depth: options.anchorDepth })
    this.#announcer = new Announcer(deps, options.maxUnsent)
    this.#shown = new ShownProcesses(deps)
    this.#reader = new ScheduleReader(deps, options)
    this.#turn = new OwnTurn({ ...deps, address: deps.signer.address })
    this.#admission = new Admission({ ...deps, turn: this.#turn }, options)
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
  }

  /** @throws AoError `STORE_CORRUPT` if what a crash left half done cannot be read. */
  async start(): Promise<void> {
    this.#stopping = false
    this.#reader.start()
    await this.#clock.start()
    await this.#sequencer.start()
    failpoint('su-started')
    await this.#twins.start()
    await this.#head.start()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#sequencer.stop()
    this.#reader.stop()
    await this.#announcer.stop()
    await this.#shown.stop()
    await this.#head.stop()
    await this.#twins.stop()
  }

  /** Signal: heard by the wait alone; once queued, the message is ordered. */
  async schedule(message: DataItem, { signal }: AbortOptions = {}): Promise<Assignment> {
    throwIfAborted(signal)
    failpoint('su-asked')
    if (this.#stopping) throw stopping()
    const { process, origin } = await this.#admission.admit(message, { signal })
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
    const { settlementDepth } = await this.#admission.ours(process)
    const known = await this.#deps.log.find(process, item)
    if (known !== undefined) return known
    await assertAssignable(request, { arweave: this.#deps.arweave, settlementDepth, signal })
    const flight = this.#flights.run(`${process} ${item}`, () => this.#sequencer.assign(process, item, { exclude }))
    return raceSignal(flight, { signal })
  }

  async clock(process: ProcessId): Promise<ScheduleClock> {
    await this.#admission.ours(process)
    this.#twins.assertAlone()
    const { timestamp, block } = await this.#clock.promise(this.#head.current())
    await this.#sequencer.settled(process) // what was stamped before the promise is in the log now
    const tail = await this.#deps.log.tail(process)
    if (tail === undefined) throw unknownProcess(process)
    return { nonce: tail.nonce, timestamp, blockHeight: block.height }
  }

  async assignment(process: ProcessId, at: MessageId | Nonce | 'newest'): Promise<Assignment> {
    const { log } = this.#deps
    await this.#admission.known(process)
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
  async *read(process: ProcessId, range: NonceRange, options: AbortOptions = {}): AsyncIterable<ScheduledMessage> {
    await this.#admission.known(process)
    yield* this.#reader.read(process, range, options)
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
    this.#reader.grown(process)
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

  #spread(batch: readonly ScheduledMessage[]): void {
    failpoint('su-announcing')
    this.#announcer.announce(batch)
    this.#shown.show(batch)
    const newest = new Map(batch.map(({ assignment }) => [assignment.process, assignment]))
    for (const [process, assignment] of newest) {
      this.#reader.grown(process)
      this.#deps.onOrdered?.(assignment)
    }
  }
}

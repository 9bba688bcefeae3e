import { type AbortOptions, following, throwIfAborted } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import { type AheadLimits, mapAhead } from '../../lib/map-ahead.ts'
import type { AssignRequest, NonceRange, ProcessLookup, ScheduleClock, Scheduler } from '../../ports/units.ts'
import type { Assignment, ScheduledMessage } from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import { type Id, type MessageId, type Nonce, type ProcessId, parseNonce } from '../../protocol/ids.ts'
import { parseAoItem } from '../../protocol/message.ts'
import { claimedOrigin } from '../../protocol/origin.ts'
import type { Peer } from './channel-pool.ts'
import { type Carrier, streamCall, unaryCall } from './client-calls.ts'
import { assignmentFromWire, assignToWire, atToWire, itemFromWire, scheduledFromWire } from './convert.ts'
import type { UnitExchanges } from './exchange-kinds.ts'
import { type ReadScheduleResponse, SchedulerService } from './generated/ao/v1/scheduler.ts'

export interface SchedulerDeadlines {
  readonly scheduleMs: number
  readonly lookupMs: number
  readonly streamIdleMs: number
}

/** Rows whose signatures are checked while their reader is busy with those before. */
const checkedAhead: AheadLimits = { entries: 32, bytes: 4 * 1024 * 1024 }
const rowBytes = ({ assignment, item }: ReadScheduleResponse): number => assignment.length + (item?.length ?? 0)

/**
 * A Scheduler on another node. It is not believed: what it signs must be signed by it and be about what was asked.
 * That rows link to each other is for the reader of a schedule to check, who knows the row before.
 */
export class RemoteScheduler implements Scheduler {
  readonly #pool: Carrier
  readonly #streams: Pick<UnitExchanges, 'schedule'>
  readonly #peer: Peer
  readonly #deadlines: SchedulerDeadlines
  readonly #wasHost: (assignment: Assignment) => boolean

  constructor(
    {
      pool,
      streams,
      wasHost = () => false,
    }: {
      readonly pool: Carrier
      readonly streams: Pick<UnitExchanges, 'schedule'>
      /** Whether the signer hosted the Process when it was ordered: then the host of today may show it. */
      readonly wasHost?: ((assignment: Assignment) => boolean) | undefined
    },
    peer: Peer,
    deadlines: SchedulerDeadlines,
  ) {
    this.#pool = pool
    this.#streams = streams
    this.#peer = peer
    this.#deadlines = deadlines
    this.#wasHost = wasHost
  }

  /** @throws AoError `INVALID_ASSIGNMENT` if the answer is not this unit's Assignment of this message. */
  async schedule(message: DataItem, { signal }: AbortOptions = {}): Promise<Assignment> {
    const answer = await this.#submit(message.raw, signal)
    const assignment = await this.#assignment(answer, parseAoItem(message).process)
    if (assignment.message !== message.id) await this.#checkTwin(message, assignment, { signal })
    return assignment
  }

  /** @throws AoError `INVALID_ASSIGNMENT` if the answer is not this unit's Assignment of this item. */
  async assign(request: AssignRequest, { signal }: AbortOptions = {}): Promise<Assignment> {
    const { scheduleMs: deadlineMs } = this.#deadlines
    const answer = await this.#ask(SchedulerService.assign, assignToWire(request), signal, deadlineMs)
    const assignment = await this.#assignment(answer.assignment, request.process)
    if (assignment.message === request.item) return assignment
    throw this.#dishonest('another message', request.item, assignment.message)
  }

  async assignment(
    process: ProcessId,
    at: MessageId | Nonce | 'newest',
    { signal }: AbortOptions = {},
  ): Promise<Assignment> {
    const wireAt = at === 'newest' ? ({ $case: 'newest', value: true } as const) : atToWire(at)
    const request = { process, at: wireAt }
    const answer = await this.#ask(SchedulerService.getAssignment, request, signal, this.#deadlines.lookupMs)
    const assignment = await this.#assignment(answer.assignment, process)
    const { id, message, nonce } = assignment
    const names: readonly unknown[] = typeof at === 'number' ? [nonce] : [message, id, 'newest']
    if (!names.includes(at)) throw this.#dishonest('another message', at, typeof at === 'number' ? nonce : message)
    return assignment
  }

  async clock(process: ProcessId, { signal }: AbortOptions = {}): Promise<ScheduleClock> {
    const answer = await this.#ask(SchedulerService.getClock, { process }, signal, this.#deadlines.lookupMs)
    const { nonce, timestamp, blockHeight } = answer
    return { nonce: parseNonce(nonce), timestamp, blockHeight }
  }

  /** @throws AoError `INVALID_DATA_ITEM` if the answer is another item. */
  async process(process: ProcessId, { signal, here = false }: ProcessLookup = {}): Promise<DataItem> {
    const answer = await this.#ask(SchedulerService.getProcess, { process, here }, signal, this.#deadlines.lookupMs)
    const item = await itemFromWire(answer.item)
    if ((item.id as Id) === (process as Id)) return item
    const facts = { expected: process, got: item.id, scheduler: this.#peer.address }
    throw new AoError('INVALID_DATA_ITEM', 'the Scheduler answered with another Process', facts)
  }

  /** Signatures, Process and the pairing of message and Assignment are checked; who signed and the links are not. */
  async *read(process: ProcessId, range: NonceRange, { signal }: AbortOptions = {}): AsyncIterable<ScheduledMessage> {
    const { from, to, follow = false, kept = false } = range
    const idleMs = follow ? undefined : this.#deadlines.streamIdleMs
    const request = { process, from, to, follow, kept }
    const { own: leaving, release } = following(signal)
    const options = { signal: leaving.signal, idleMs }
    const rows = streamCall(this.#pool, this.#peer, SchedulerService.readSchedule, request, options)
    const checked = mapAhead(rows, scheduledFromWire, { limits: checkedAhead, bytesOf: rowBytes })
    try {
      for await (const scheduled of checked) {
        throwIfAborted(signal) // what was read ahead is no longer asked for
        const { assignment } = scheduled
        if (assignment.process !== process) throw this.#dishonest('another Process', process, assignment.process)
        yield scheduled
      }
    } finally {
      release()
      leaving.abort()
    }
  }

  /** An SU answers the same part of an outbox, brought by another MU, with the first Assignment: then it can show it. */
  async #checkTwin(message: DataItem, { process, nonce, ...first }: Assignment, options: AbortOptions): Promise<void> {
    const origin = claimedOrigin(message)
    if (origin !== undefined) {
      for await (const row of this.read(process, { from: nonce, to: nonce }, options)) {
        const same = row.assignment.id === first.id && row.message !== undefined
        if (same && claimedOrigin(row.message) === origin) return
      }
    }
    throw this.#dishonest('another message', message.id, first.message)
  }

  async #submit(item: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
    return this.#streams.schedule.ask(this.#peer, item, { signal, deadlineMs: this.#deadlines.scheduleMs })
  }

  #ask<Req, Res>(
    method: Parameters<typeof unaryCall<Req, Res>>[2],
    request: Req,
    signal: AbortSignal | undefined,
    deadlineMs: number,
  ): Promise<Res> {
    return unaryCall(this.#pool, this.#peer, method, request, { signal, deadlineMs })
  }

  async #assignment(bytes: Uint8Array, process: ProcessId): Promise<Assignment> {
    const assignment = await assignmentFromWire(bytes)
    const { address, forwards } = this.#peer
    const isHost = assignment.scheduler === address || this.#wasHost(assignment)
    if (forwards !== true && !isHost) {
      throw this.#dishonest('another signer', address, assignment.scheduler)
    }
    if (assignment.process !== process) throw this.#dishonest('another Process', process, assignment.process)
    return assignment
  }

  #dishonest(what: string, expected: string | number, got: string | number): AoError {
    const facts = { expected, got, scheduler: this.#peer.address }
    return new AoError('INVALID_ASSIGNMENT', `the Scheduler answered with an Assignment of ${what}`, facts)
  }
}

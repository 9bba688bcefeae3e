import type { AbortOptions } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import type { AssignRequest, CrankOptions, CrankProgress, FollowOptions, Messenger } from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { type DataItem, parseStoredItem, verifyDataItem } from '../../protocol/data-item.ts'
import { parsePromise } from '../../protocol/delivery-promise.ts'
import type { Id, MessageId, ProcessId } from '../../protocol/ids.ts'
import { parseAoItem } from '../../protocol/message.ts'
import type { Peer } from './channel-pool.ts'
import { type Carrier, streamCall, unaryCall } from './client-calls.ts'
import { assignmentFromWire, assignToWire, progressFromWire } from './convert.ts'
import type { UnitExchanges } from './exchange-kinds.ts'
import { MessengerService } from './generated/ao/v1/messenger.ts'

export interface MessengerDeadlines {
  readonly submitMs: number
  readonly crankMs: number
}

/** A Messenger on another node. The Assignment it brings is some Scheduler's, and must be of the message handed in. */
export class RemoteMessenger implements Messenger {
  readonly #pool: Carrier
  readonly #streams: Pick<UnitExchanges, 'submit'>
  readonly #peer: Peer
  readonly #deadlines: MessengerDeadlines

  constructor(
    { pool, streams }: { readonly pool: Carrier; readonly streams: Pick<UnitExchanges, 'submit'> },
    peer: Peer,
    deadlines: MessengerDeadlines,
  ) {
    this.#pool = pool
    this.#streams = streams
    this.#peer = peer
    this.#deadlines = deadlines
  }

  /** @throws AoError `INVALID_ASSIGNMENT` if the answer is about another message. */
  async submit(bytes: Uint8Array, { signal }: AbortOptions = {}): Promise<Assignment> {
    const options = { signal, deadlineMs: this.#deadlines.submitMs }
    const assignment = await assignmentFromWire(await this.#streams.submit.ask(this.#peer, bytes, options))
    const item = parseStoredItem(bytes) // the Messenger has judged it; here only its id and target count
    if (assignment.message === item.id && assignment.process === parseAoItem(item).process) return assignment
    const facts = { expected: item.id, got: assignment.message, messenger: this.#peer.address }
    throw new AoError('INVALID_ASSIGNMENT', 'the Messenger answered with an Assignment of another message', facts)
  }

  /** @throws AoError `INVALID_RECORD` if the answer promises something else. */
  async promise(bytes: Uint8Array, { signal }: AbortOptions = {}): Promise<DataItem> {
    const options = { signal, deadlineMs: this.#deadlines.submitMs }
    const answer = await unaryCall(this.#pool, this.#peer, MessengerService.promise, { item: bytes }, options)
    const promise = await verifyDataItem(answer.promise)
    const { message, process } = parsePromise(promise)
    const item = parseStoredItem(bytes)
    if (message === (item.id as Id as MessageId) && process === item.target) return promise
    const facts = { expected: item.id, got: message, messenger: this.#peer.address }
    throw new AoError('INVALID_RECORD', 'the Messenger promised another message', facts)
  }

  /** @throws AoError `INVALID_ASSIGNMENT` if the answer is about another item. */
  async assign(request: AssignRequest, { signal }: AbortOptions = {}): Promise<Assignment> {
    const options = { signal, deadlineMs: this.#deadlines.submitMs }
    const answer = await unaryCall(this.#pool, this.#peer, MessengerService.assign, assignToWire(request), options)
    const assignment = await assignmentFromWire(answer.assignment)
    if (assignment.message === request.item && assignment.process === request.process) return assignment
    const facts = { expected: request.item, got: assignment.message, messenger: this.#peer.address }
    throw new AoError('INVALID_ASSIGNMENT', 'the Messenger answered with an Assignment of another item', facts)
  }

  async monitor(process: ProcessId, { signal }: AbortOptions = {}): Promise<void> {
    const options = { signal, deadlineMs: this.#deadlines.crankMs }
    await unaryCall(this.#pool, this.#peer, MessengerService.monitor, { process }, options)
  }

  async unmonitor(process: ProcessId, { signal }: AbortOptions = {}): Promise<void> {
    const options = { signal, deadlineMs: this.#deadlines.crankMs }
    await unaryCall(this.#pool, this.#peer, MessengerService.unmonitor, { process }, options)
  }

  async crank(process: ProcessId, message: MessageId, { depth, part, signal }: CrankOptions = {}): Promise<void> {
    const options = { signal, deadlineMs: this.#deadlines.crankMs }
    await unaryCall(this.#pool, this.#peer, MessengerService.crank, { process, message, depth, part }, options)
  }

  async *follow(process: ProcessId, message: MessageId, options: FollowOptions = {}): AsyncIterable<CrankProgress> {
    const { signal, ownOnly = false, once = false } = options
    const request = { process, message, ownOnly, once }
    const rows = streamCall(this.#pool, this.#peer, MessengerService.follow, request, { signal })
    for await (const { progress } of rows) yield progressFromWire(progress)
  }
}

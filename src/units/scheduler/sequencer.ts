import { type AbortOptions, throwIfAborted } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { AoError } from '../../lib/errors.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { AssignmentLog } from '../../ports/assignment-log.ts'
import {
  type Assignment,
  type BlockAnchor,
  draftAssignment,
  nextAssignment,
  parseAssignment,
  type ScheduledMessage,
} from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { ProcessId } from '../../protocol/ids.ts'
import type { Signer } from '../../protocol/keys.ts'
import { failureFacts } from '../failure.ts'

export interface SequencerDeps {
  readonly signer: Signer
  readonly log: AssignmentLog
  readonly clock: Clock
  /** The block to stamp; asked once for each batch. @throws AoError `NOT_READY` */
  readonly block: () => BlockAnchor
  /** Hears of each batch once it is durable. */
  readonly onDurable: (batch: readonly ScheduledMessage[]) => void
  readonly telemetry: Telemetry
}

export interface SequencerOptions {
  /** Messages queued, and messages whose write failed. */
  readonly maxPending: number
  /** Messages of one disk sync. */
  readonly maxBatch: number
}

interface Request {
  readonly process: ProcessId
  readonly message: DataItem
  readonly resolve: (assignment: Assignment) => void
  readonly reject: (error: unknown) => void
}
interface Signed {
  readonly scheduled: ScheduledMessage
  /** Whoever sent this message while it waits for the disk. */
  readonly waiting: Request[]
}

/**
 * Gives each message of a Process the next Nonce, and pays one disk sync per batch.
 *
 * Invariant: an Assignment leaves this class only after its batch is durable; a message has at most one per Process;
 * a Nonce once signed for a message is never signed for another. A failed write is an unknown, not a no: the batch is
 * kept and written again as it is before anything else of its Processes.
 */
export class Sequencer {
  readonly #deps: SequencerDeps
  readonly #options: SequencerOptions
  readonly #queue: Request[] = []
  /** Signed, and perhaps on disk. */
  #unwritten: ScheduledMessage[] = []
  #draining: Promise<void> | undefined
  #stopping = false

  constructor(deps: SequencerDeps, options: SequencerOptions) {
    this.#deps = deps
    this.#options = options
    const { metrics } = deps.telemetry
    metrics.gauge('aonet_scheduler_queued_messages', 'Messages waiting for a nonce', () => this.#queue.length)
    metrics.gauge(
      'aonet_scheduler_unwritten_assignments',
      'Signed assignments whose write failed and will be tried again',
      () => this.#unwritten.length,
    )
  }

  /**
   * @param options.signal Heard until the message is queued; after that the order is given.
   * @throws AoError `OVERLOADED` at once when the queue is full, `LOG_WRITE_FAILED` if the disk refuses.
   */
  async append(process: ProcessId, message: DataItem, { signal }: AbortOptions = {}): Promise<Assignment> {
    throwIfAborted(signal)
    if (this.#stopping) throw new AoError('STOPPING', 'the scheduler is shutting down')
    const queued = this.#queue.length
    if (queued >= this.#options.maxPending) {
      throw new AoError('OVERLOADED', 'the scheduler queue is full', { queued }, { hint: 'Send again in a moment.' })
    }
    return new Promise((resolve, reject) => {
      this.#queue.push({ process, message, resolve, reject })
      this.#draining ??= this.#drain()
    })
  }

  /** Refuses new messages; resolves when every accepted one is durable or rejected. */
  async stop(): Promise<void> {
    this.#stopping = true
    await this.#draining
    await this.#writeAgain()
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, this.#options.maxBatch)
      try {
        await this.#writeAgain()
        await this.#give(this.#withoutStuck(batch))
      } catch (error) {
        for (const request of batch) request.reject(error) // those answered already do not hear it
      }
    }
    this.#draining = undefined // same tick as the emptiness check, so no message is left waiting
  }

  async #give(batch: readonly Request[]): Promise<void> {
    if (batch.length === 0) return
    const signed = await this.#sign(batch, this.#deps.block())
    if (signed.length === 0) return
    const scheduled = signed.map(entry => entry.scheduled)
    try {
      await this.#deps.log.append(scheduled)
    } catch (cause) {
      this.#unwritten.push(...scheduled)
      this.#deps.telemetry.log.error('log write failed', { entries: scheduled.length, ...failureFacts(cause) })
      throw writeFailed(cause)
    }
    for (const entry of signed) for (const request of entry.waiting) request.resolve(entry.scheduled.assignment)
    this.#deps.onDurable(scheduled)
  }

  /** A failed write may have reached the disk after all: then the rows are there, and are these. */
  async #writeAgain(): Promise<void> {
    if (this.#unwritten.length === 0) return
    const { log, telemetry, onDurable } = this.#deps
    const entries = this.#unwritten
    try {
      const present = await Promise.all(entries.map(({ assignment: { process, nonce } }) => log.at(process, nonce)))
      const missing = entries.filter((_, i) => present[i] === undefined)
      const foreign = entries.find(({ assignment }, i) => (present[i]?.id ?? assignment.id) !== assignment.id)
      if (foreign !== undefined) throw takenByAnother(foreign.assignment)
      if (missing.length > 0) await log.append(missing)
    } catch (error) {
      telemetry.log.error('log write failed again', { entries: entries.length, ...failureFacts(error) })
      return // its Processes stay stuck
    }
    this.#unwritten = []
    telemetry.log.info('log written again', { entries: entries.length })
    onDurable(entries)
  }

  #withoutStuck(batch: readonly Request[]): readonly Request[] {
    if (this.#unwritten.length === 0) return batch
    const stuck = new Set(this.#unwritten.map(({ assignment }) => assignment.process))
    const full = this.#unwritten.length >= this.#options.maxPending
    return batch.filter(({ process, reject }) => {
      const refused = full || stuck.has(process)
      if (refused) reject(writeFailed())
      return !refused
    })
  }

  // One Process in sequence (each link needs the one before), different Processes side by side.
  // Nothing outlives the batch: the log stays the only memory of the last Nonce.
  async #sign(batch: readonly Request[], block: BlockAnchor): Promise<readonly Signed[]> {
    const byProcess = new Map<ProcessId, Request[]>()
    for (const request of batch) {
      const requests = byProcess.get(request.process)
      if (requests === undefined) byProcess.set(request.process, [request])
      else requests.push(request)
    }
    const signed = await Promise.all([...byProcess].map(([process, list]) => this.#signAll(process, list, block)))
    return signed.flat()
  }

  async #signAll(process: ProcessId, requests: readonly Request[], block: BlockAnchor): Promise<readonly Signed[]> {
    const { log, clock, signer } = this.#deps
    const signed: Signed[] = []
    try {
      let previous = await log.tail(process)
      for (const request of requests) {
        const { message } = request
        const twin = signed.find(entry => entry.scheduled.assignment.message === message.id)
        const earlier = twin === undefined ? await log.find(process, message.id) : undefined
        if (twin !== undefined) twin.waiting.push(request)
        else if (earlier !== undefined) request.resolve(earlier)
        else {
          const fields = nextAssignment(previous, { process, message: message.id, now: clock.now(), block })
          previous = parseAssignment(await signer.sign(draftAssignment(fields)))
          signed.push({ scheduled: { assignment: previous, message }, waiting: [request] })
        }
      }
    } catch (error) {
      // What is signed goes on; the first that is not, and all after it, are refused: no Nonce is left out.
      for (const request of requests)
        if (!signed.some(({ waiting }) => waiting.includes(request))) request.reject(error)
    }
    return signed
  }
}

const writeFailed = (cause?: unknown): AoError =>
  new AoError(
    'LOG_WRITE_FAILED',
    'the scheduler could not write its log',
    {},
    {
      cause,
      hint: 'Send the same message again: it keeps its place if it has one. The operator should check the disk.',
    },
  )

const takenByAnother = ({ process, nonce, id }: Assignment): AoError =>
  new AoError(
    'EQUIVOCATION',
    'another assignment stands at a nonce that was signed here',
    { process, nonce, id },
    { hint: 'Two schedulers may be running with one key: stop one of them.' },
  )

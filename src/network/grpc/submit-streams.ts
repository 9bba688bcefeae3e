import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js'
import { throwIfAborted } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import { type ChannelPool, type Lease, type Peer, peerKey } from './channel-pool.ts'
import { type CallOptions, callFailure } from './client-calls.ts'
import { Gathering, grouped } from './gathering.ts'
import {
  SchedulerService,
  type ScheduleStreamRequest,
  type ScheduleStreamResponse,
} from './generated/ao/v1/scheduler.ts'
import { fromDetailBytes } from './status.ts'

export interface SubmitStreamOptions {
  /** Submissions to one unit that wait for their answer. */
  readonly maxPending: number
  /** A stream without a submission for so long is closed. */
  readonly idleMs: number
}

/** Submissions to a Scheduler share one stream per unit: an exchange there costs a third of a call of its own. */
export class SubmitStreams {
  readonly #pool: ChannelPool
  readonly #options: SubmitStreamOptions
  readonly #open = new Map<string, SubmitStream>()

  constructor(pool: ChannelPool, options: SubmitStreamOptions) {
    this.#pool = pool
    this.#options = options
  }

  /**
   * Sends the item and gives the signed bytes that come back.
   *
   * @throws AoError as the other side threw it, or `PEER_UNREACHABLE` | `DEADLINE` | `ABORTED` | `OVERLOADED`
   */
  async submit(peer: Peer, item: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    throwIfAborted(options.signal)
    const key = peerKey(peer)
    let stream = this.#open.get(key)
    if (stream === undefined) {
      const opened: SubmitStream = new SubmitStream(this.#pool.lease(peer), peer, this.#options, () => {
        if (this.#open.get(key) === opened) this.#open.delete(key)
      })
      this.#open.set(key, opened)
      stream = opened
    }
    return stream.submit(item, options)
  }
}

interface Pending {
  resolve(assignment: Uint8Array): void
  reject(error: unknown): void
}

interface Ready {
  readonly tag: number
  readonly item: Uint8Array
}
const request = ({ tag, item }: Ready): ScheduleStreamRequest => ({ tag, item, more: [], takesMore: true })

/** One open stream. Answers come in any order and find their submission by its tag. */
class SubmitStream {
  readonly #peer: Peer
  readonly #options: SubmitStreamOptions
  readonly #call: ClientDuplexStream<ScheduleStreamRequest, ScheduleStreamResponse>
  readonly #onEnd: () => void
  readonly #pending = new Map<number, Pending>()
  readonly #outbox = new Gathering<Ready>(ready => this.#send(ready))
  #lastTag = 0
  /** The other side has said that it sees several submissions in one message. */
  #takesMore = false
  #reason: AoError | undefined
  #drained: Promise<void> | undefined
  #idle: NodeJS.Timeout | undefined

  constructor(lease: Lease, peer: Peer, options: SubmitStreamOptions, onEnd: () => void) {
    this.#peer = peer
    this.#options = options
    this.#onEnd = onEnd
    const { path, requestSerialize, responseDeserialize } = SchedulerService.scheduleStream
    this.#call = lease.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    lease.onClose = reason => this.#end(reason)
    this.#call.on('data', (message: ScheduleStreamResponse) => this.#answers(message))
    this.#call.on('error', (error: ServiceError) => this.#end(callFailure(error, peer)))
    this.#call.once('status', () => {
      this.#end(this.#cut())
      clearTimeout(this.#idle)
      lease.release()
    })
  }

  async submit(item: Uint8Array, { signal, deadlineMs }: CallOptions): Promise<Uint8Array> {
    if (this.#pending.size >= this.#options.maxPending) {
      throw new AoError('OVERLOADED', 'too many submissions to this unit at once', { open: this.#pending.size })
    }
    clearTimeout(this.#idle)
    const tag = ++this.#lastTag
    return new Promise<Uint8Array>((resolve, reject) => {
      const onAbort = (): void => finish(() => reject(AoError.from(signal?.reason)))
      const late = setTimeout(() => finish(() => reject(this.#late(deadlineMs))), deadlineMs)
      const finish = (settle: () => void): void => {
        this.#pending.delete(tag)
        clearTimeout(late)
        signal?.removeEventListener('abort', onAbort)
        settle()
        if (this.#pending.size === 0) this.#closeWhenIdle()
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#pending.set(tag, {
        resolve: assignment => finish(() => resolve(assignment)),
        reject: error => finish(() => reject(error)),
      })
      void this.#outbox.add({ tag, item })
    })
  }

  /** No faster than the other side reads. What was given up while it waited is not sent. */
  async #send(ready: readonly Ready[]): Promise<void> {
    const groups = this.#takesMore ? grouped(ready, ({ item }) => item.length) : ready.map(one => [one] as const)
    for (const group of groups) {
      while (this.#drained !== undefined) await this.#drained
      const [first, ...more] = group.filter(({ tag }) => this.#pending.has(tag)).map(request)
      if (this.#reason !== undefined || first === undefined) continue
      if (this.#call.write({ ...first, more })) continue
      this.#drained = new Promise(resolve => {
        const done = (): void => {
          this.#drained = undefined
          this.#call.off('drain', done)
          this.#call.off('close', done)
          resolve()
        }
        this.#call.on('drain', done)
        this.#call.on('close', done)
      })
    }
  }

  #answers(message: ScheduleStreamResponse): void {
    this.#takesMore ||= message.takesMore
    this.#answer(message)
    for (const further of message.more) this.#answer(further)
  }

  #answer({ tag, outcome }: ScheduleStreamResponse): void {
    const pending = this.#pending.get(tag)
    if (outcome?.$case === 'assignment') {
      pending?.resolve(Buffer.from(outcome.value)) // a copy: it came as a view of the frame
      return
    }
    const told = outcome && fromDetailBytes(outcome.value)
    pending?.reject(told ?? new AoError('INVALID_RECORD', "the node's answer says neither yes nor no"))
  }

  #end(reason: AoError): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#onEnd()
    clearTimeout(this.#idle)
    for (const { reject } of [...this.#pending.values()]) reject(reason)
    this.#call.cancel()
  }

  #closeWhenIdle(): void {
    if (this.#reason !== undefined) return
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => {
      this.#onEnd() // whoever comes now opens another
      this.#call.end()
      // The other side may still be busy with what nobody waits for any more.
      this.#idle = setTimeout(() => this.#call.cancel(), this.#options.idleMs).unref()
    }, this.#options.idleMs)
    this.#idle.unref()
  }

  #cut(): AoError {
    const { address, grpc } = this.#peer
    return new AoError('PEER_UNREACHABLE', 'the connection was cut', { address, endpoint: grpc })
  }

  #late(deadlineMs: number): AoError {
    const { address, grpc } = this.#peer
    return new AoError('DEADLINE', 'the deadline passed', { address, endpoint: grpc, deadlineMs })
  }
}

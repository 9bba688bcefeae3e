import type { ClientDuplexStream, MethodDefinition, ServiceError } from '@grpc/grpc-js'
import { throwIfAborted } from '../../lib/abort.ts'
import { AoError } from '../../lib/errors.ts'
import { type ChannelPool, type Lease, type Peer, peerKey } from './channel-pool.ts'
import { type CallOptions, callFailure } from './client-calls.ts'
import { Gathering, grouped } from './gathering.ts'
import { fromDetailBytes } from './status.ts'

export interface ExchangeOptions {
  /** Questions to one unit that wait for their answer. */
  readonly maxPending: number
  /** A stream without a question for so long is closed. */
  readonly idleMs: number
}

/** A question on its way; without it, the word that nobody waits for that answer any more. */
export interface Ready<Ask> {
  readonly tag: number
  readonly ask: Ask | undefined
}
/** What came back for a tag: an answer, an encoded ErrorDetail, or nothing that this program knows. */
export interface Told<Answer> {
  readonly tag: number
  readonly answer?: Answer | undefined
  readonly error?: Uint8Array | undefined
}

/** How questions of one kind travel on a stream. One message may carry several of them, or of their answers. */
export interface ExchangeKind<Ask, Answer, Req, Res> {
  readonly method: MethodDefinition<Req, Res>
  readonly bytesOf: (ask: Ask | undefined) => number
  readonly request: (first: Ready<Ask>, ...more: readonly Ready<Ask>[]) => Req
  readonly told: (message: Res) => { readonly takesMore: boolean; readonly all: readonly Told<Answer>[] }
}

/** Whoever can be asked that way. */
export interface Exchanger<Ask, Answer> {
  /** @throws AoError as the other side threw it, or `PEER_UNREACHABLE` | `DEADLINE` | `ABORTED` | `OVERLOADED` */
  ask(peer: Peer, ask: Ask, options: CallOptions): Promise<Answer>
}

/** Questions share one stream per unit: an exchange there costs a third of a call of its own. */
export class ExchangeStreams<Ask, Answer, Req, Res> implements Exchanger<Ask, Answer> {
  readonly #pool: ChannelPool
  readonly #kind: ExchangeKind<Ask, Answer, Req, Res>
  readonly #options: ExchangeOptions
  readonly #open = new Map<string, ExchangeStream<Ask, Answer, Req, Res>>()

  constructor(pool: ChannelPool, kind: ExchangeKind<Ask, Answer, Req, Res>, options: ExchangeOptions) {
    this.#pool = pool
    this.#kind = kind
    this.#options = options
  }

  /**
   * @throws AoError as the other side threw it, or `PEER_UNREACHABLE` | `DEADLINE` | `ABORTED` | `OVERLOADED`
   */
  async ask(peer: Peer, ask: Ask, options: CallOptions): Promise<Answer> {
    throwIfAborted(options.signal)
    return this.#pool.eitherWay(peer, (to, onLease) => this.#ask(to, ask, { ...options, onLease }))
  }

  async #ask(
    peer: Peer,
    ask: Ask,
    { onLease, ...options }: CallOptions & { onLease(lease: Lease): void },
  ): Promise<Answer> {
    const key = peerKey(peer)
    let stream = this.#open.get(key)
    if (stream === undefined) {
      const onEnd = (): void => {
        if (this.#open.get(key) === opened) this.#open.delete(key)
      }
      const opened = new ExchangeStream(this.#pool.lease(peer), { peer, onEnd, kind: this.#kind }, this.#options)
      this.#open.set(key, opened)
      stream = opened
    }
    onLease(stream.lease)
    return stream.ask(ask, options)
  }
}

interface Pending<Answer> {
  resolve(answer: Answer): void
  reject(error: unknown): void
}

interface StreamDeps<Ask, Answer, Req, Res> {
  readonly peer: Peer
  readonly kind: ExchangeKind<Ask, Answer, Req, Res>
  readonly onEnd: () => void
}

/** One open stream. Answers come in any order and find their question by its tag. */
class ExchangeStream<Ask, Answer, Req, Res> {
  readonly #peer: Peer
  readonly #kind: ExchangeKind<Ask, Answer, Req, Res>
  readonly #options: ExchangeOptions
  readonly #call: ClientDuplexStream<Req, Res>
  readonly #onEnd: () => void
  readonly #pending = new Map<number, Pending<Answer>>()
  readonly #outbox = new Gathering<Ready<Ask>>(ready => this.#send(ready))
  #lastTag = 0
  /** The other side has said that it sees several questions in one message. */
  #takesMore = false
  #reason: AoError | undefined
  #drained: Promise<void> | undefined
  #idle: NodeJS.Timeout | undefined

  readonly lease: Lease

  constructor(lease: Lease, { peer, kind, onEnd }: StreamDeps<Ask, Answer, Req, Res>, options: ExchangeOptions) {
    this.lease = lease
    this.#peer = peer
    this.#kind = kind
    this.#options = options
    this.#onEnd = onEnd
    const { path, requestSerialize, responseDeserialize } = kind.method
    this.#call = lease.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
    lease.onClose = reason => this.#end(reason)
    this.#call.on('data', (message: Res) => this.#answers(message))
    this.#call.on('error', (error: ServiceError) => this.#end(callFailure(error, peer)))
    this.#call.once('status', () => {
      this.#end(this.#cut())
      clearTimeout(this.#idle)
      lease.release()
    })
  }

  async ask(ask: Ask, { signal, deadlineMs }: CallOptions): Promise<Answer> {
    if (this.#pending.size >= this.#options.maxPending) {
      throw new AoError('OVERLOADED', 'too many questions to this unit at once', { open: this.#pending.size })
    }
    clearTimeout(this.#idle)
    const tag = ++this.#lastTag
    return new Promise<Answer>((resolve, reject) => {
      const onAbort = (): void => giveUp(AoError.from(signal?.reason))
      const late = setTimeout(() => giveUp(this.#late(deadlineMs)), deadlineMs)
      const giveUp = (reason: AoError): void => {
        finish(() => reject(reason))
        void this.#outbox.add({ tag, ask: undefined })
      }
      const finish = (settle: () => void): void => {
        this.#pending.delete(tag)
        clearTimeout(late)
        signal?.removeEventListener('abort', onAbort)
        settle()
        if (this.#pending.size === 0) this.#closeWhenIdle()
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#pending.set(tag, {
        resolve: answer => finish(() => resolve(answer)),
        reject: error => finish(() => reject(error)),
      })
      void this.#outbox.add({ tag, ask })
    })
  }

  /** No faster than the other side reads. */
  async #send(ready: readonly Ready<Ask>[]): Promise<void> {
    const groups = this.#takesMore
      ? grouped(ready, ({ ask }) => this.#kind.bytesOf(ask))
      : ready.map(one => [one] as const)
    for (const group of groups) {
      while (this.#drained !== undefined) await this.#drained
      const [first, ...more] = group.filter(({ tag, ask }) => ask === undefined || this.#pending.has(tag))
      if (this.#reason !== undefined || first === undefined) continue
      if (this.#call.write(this.#kind.request(first, ...more))) continue
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

  #answers(message: Res): void {
    const { takesMore, all } = this.#kind.told(message)
    this.#takesMore ||= takesMore
    for (const { tag, answer, error } of all) {
      const pending = this.#pending.get(tag)
      if (answer !== undefined) pending?.resolve(answer)
      else pending?.reject((error && fromDetailBytes(error)) ?? saysNothing())
    }
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

const saysNothing = (): AoError => new AoError('INVALID_RECORD', "the node's answer says neither yes nor no")

import type { ServerDuplexStream } from '@grpc/grpc-js'
import type { Listening } from './listening.ts'
import { wellFormed } from './tolerant.ts'

/** How the requests of one exchange are answered. One message on the wire may carry several of either. */
export interface Exchange<Req, Res> {
  readonly requestsIn: (message: Req) => readonly Req[]
  /** Undefined if there is nothing to answer. */
  readonly run: (request: Req, options: Listening) => Promise<Res | undefined>
  /** One message of answers that were ready at the same time. Does not throw. */
  readonly join: (answers: readonly Res[], to: Req) => readonly Res[]
}

export interface ExchangeSignals extends Listening {
  /** Fires when nothing more is to be taken in: what has been is still answered. */
  readonly intake: AbortSignal
}

/**
 * Answers in any order what comes on a stream, and together what is ready in one turn of the program. Goes by events:
 * a scheduler does this for each message, so a message takes no iterator, no listener and no signal of its own.
 *
 * Invariant: at most `limit` requests are worked on, or have an answer that the stream has no room for; the rest wait on
 * the caller's side.
 */
export class ServerExchange<Req, Res> {
  readonly #call: ServerDuplexStream<Req, Res>
  readonly #limit: number
  readonly #work: Exchange<Req, Res>
  readonly #signals: ExchangeSignals
  /** Taken in with others in one message, and not begun for the limit. */
  readonly #waiting: Req[] = []
  #newest: Req | undefined
  #open = 0
  #ready: Res[] = []
  #flushDue = false
  /** Answers written since the stream had room, if it has none. */
  #crowded = 0
  #takesMore = true
  #over = false
  #settle: { done(): void; fail(error: unknown): void } | undefined

  constructor(
    call: ServerDuplexStream<Req, Res>,
    limit: number,
    { work, ...signals }: ExchangeSignals & { readonly work: Exchange<Req, Res> },
  ) {
    this.#call = call
    this.#limit = limit
    this.#work = work
    this.#signals = signals
  }

  /** Resolves once all that came is answered. @throws the reason of either signal, or what is wrong with a request */
  run(): Promise<void> {
    const { signal, intake } = this.#signals
    return new Promise((done, fail) => {
      this.#settle = { done, fail }
      if (signal.aborted) return this.#fail(signal.reason)
      signal.addEventListener('abort', () => this.#fail(signal.reason), { once: true })
      this.#call.once('end', this.#endIntake)
      this.#call.on('drain', this.#drained)
      if (intake.aborted) return this.#endIntake()
      intake.addEventListener('abort', this.#endIntake, { once: true })
      this.#call.on('data', this.#take)
    })
  }

  readonly #take = (message: Req): void => {
    try {
      this.#newest = wellFormed(message)
      this.#waiting.push(...this.#work.requestsIn(this.#newest))
      this.#begin()
    } catch (error) {
      this.#fail(error)
    }
  }

  #begin(): void {
    while (this.#waiting.length > 0 && this.#open < this.#limit) {
      this.#open++
      this.#work.run(this.#waiting.shift() as Req, this.#signals).then(this.#answered, this.#fail)
    }
    if (this.#open >= this.#limit) this.#call.pause()
    else if (this.#takesMore && this.#call.isPaused()) this.#call.resume()
  }

  readonly #answered = (answer: Res | undefined): void => {
    if (answer === undefined) this.#release(1)
    else this.#ready.push(answer)
    if (this.#flushDue || answer === undefined) return
    this.#flushDue = true
    process.nextTick(this.#flush)
  }

  readonly #flush = (): void => {
    this.#flushDue = false
    if (this.#over || this.#crowded > 0 || this.#ready.length === 0) return
    const ready = this.#ready
    this.#ready = []
    let hasRoom = true
    for (const message of this.#work.join(ready, this.#newest as Req)) hasRoom = this.#call.write(message)
    if (hasRoom) this.#release(ready.length)
    else this.#crowded = ready.length
  }

  readonly #drained = (): void => {
    const written = this.#crowded
    this.#crowded = 0
    this.#release(written)
    this.#flush()
  }

  #release(count: number): void {
    if (this.#over) return
    this.#open -= count
    this.#begin()
    this.#endIfDone()
  }

  readonly #endIntake = (): void => {
    this.#takesMore = false
    this.#call.off('data', this.#take)
    this.#endIfDone()
  }

  #endIfDone(): void {
    if (this.#over || this.#takesMore || this.#open > 0) return
    const { intake } = this.#signals
    if (!intake.aborted) this.#call.end()
    this.#over = true
    if (intake.aborted) this.#settle?.fail(intake.reason)
    else this.#settle?.done()
  }

  readonly #fail = (error: unknown): void => {
    this.#over = true
    this.#call.off('data', this.#take)
    this.#settle?.fail(error)
  }
}

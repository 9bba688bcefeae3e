import type { handleBidiStreamingCall, handleServerStreamingCall, handleUnaryCall } from '@grpc/grpc-js'
import { type LateSignal, lateSignal } from '../../lib/abort.ts'
import { systemClock } from '../../lib/clock.ts'
import { AoError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/telemetry.ts'
import type { Listening } from './listening.ts'
import { type Exchange, ServerExchange } from './server-exchange.ts'
import { toServiceError } from './status.ts'
import { StreamWriter } from './stream-writer.ts'
import { wellFormed } from './tolerant.ts'

/**
 * Turns plain async functions into gRPC handlers: each gets a signal, each failure leaves as an AoError, and none is
 * lost sight of before it has ended.
 */
export class CallRunner {
  readonly #log: Logger
  #running = 0
  #onIdle: (() => void) | undefined
  readonly #streams = new Set<LateSignal>()
  /** What a stream listens to for when to end: its own end, or of an exchange what it takes in. */
  readonly #endings = new Set<Pick<LateSignal, 'abort'>>()
  #ending = false

  constructor(log: Logger) {
    this.#log = log
  }

  unary<Req, Res>(run: (request: Req, options: Listening) => Promise<Res>): handleUnaryCall<Req, Res> {
    return (call, callback) => {
      const answer = async (listening: Listening): Promise<void> => {
        const value = await run(wellFormed(call.request), listening)
        callback(null, value)
      }
      this.#run(call, answer, error => callback(error))
    }
  }

  /** Rows are asked for only as fast as the caller reads them. */
  serverStream<Req, Res>(
    run: (request: Req, options: Listening) => AsyncIterable<Res>,
  ): handleServerStreamingCall<Req, Res> {
    return call => {
      const answer = async (listening: Listening): Promise<void> => {
        const writer = new StreamWriter(call, listening)
        for await (const row of run(wellFormed(call.request), listening)) await writer.write(row)
        call.end()
      }
      this.#endWithServer(call, this.#runStream(call, answer))
    }
  }

  /** Answers in any order. At most `limit` requests are worked on at once; the rest wait on the caller's side. */
  exchange<Req, Res>(limit: number, work: () => Exchange<Req, Res>): handleBidiStreamingCall<Req, Res> {
    return call => {
      const intake = new AbortController()
      const answer = (listening: Listening): Promise<void> => {
        const signals = { signal: listening.signal, intake: intake.signal }
        return new ServerExchange(call, limit, { ...signals, work: work() }).run()
      }
      this.#runStream(call, answer)
      this.#endWithServer(call, intake)
    }
  }

  /**
   * Ends every open stream with `STOPPING`: readers at once, for a follower would hold the server open for ever;
   * exchanges take nothing more, and end when what they have taken is answered.
   */
  endStreams(): void {
    this.#ending = true
    for (const ending of this.#endings) ending.abort(stopping())
  }

  /** Ends with `STOPPING` what still goes on. */
  cutStreams(): void {
    for (const stream of this.#streams) stream.abort(stopping())
  }

  /** Resolves when no handler runs. */
  async idle(): Promise<void> {
    if (this.#running > 0) await new Promise<void>(resolve => (this.#onIdle = resolve))
  }

  #runStream(call: OpenStream, answer: (listening: Listening) => Promise<void>): LateSignal {
    const ending = this.#run(call, answer, error => {
      // grpc-js sends the status of an 'error' event after the rows written so far.
      if (!call.destroyed) call.emit('error', error)
    })
    this.#streams.add(ending)
    call.once('close', () => this.#streams.delete(ending))
    return ending
  }

  #endWithServer(call: OpenStream, ending: Pick<LateSignal, 'abort'>): void {
    if (this.#ending) ending.abort(stopping()) // it was let in just before, and its request came after
    this.#endings.add(ending)
    call.once('close', () => this.#endings.delete(ending))
  }

  #run(
    call: OpenCall,
    answer: (listening: Listening) => Promise<void>,
    refuse: (error: ReturnType<typeof toServiceError>) => void,
  ): LateSignal {
    const ending = lateSignal()
    let settled = false
    // Also fires after an ordinary end, when nobody is left to tell.
    call.once('cancelled', () => {
      if (!settled) ending.abort(whyOver(call))
    })
    this.#running++
    answer(ending.options)
      .catch((error: unknown) => {
        this.#tell(call, error)
        refuse(toServiceError(error))
      })
      .finally(() => {
        settled = true
        if (--this.#running === 0) this.#onIdle?.()
      })
    return ending
  }

  #tell(call: OpenCall, error: unknown): void {
    const { code, cause } = AoError.from(error)
    if (code === 'INTERNAL') this.#log.error('grpc-call-broke', { method: call.getPath(), error: cause ?? error })
    else this.#log.debug('grpc-call-failed', { method: call.getPath(), code })
  }
}

/** What handlers of all four kinds have in common. */
interface OpenCall {
  getDeadline(): Date | number
  getPath(): string
  once(event: string, listener: () => void): unknown
}
interface OpenStream extends OpenCall {
  readonly destroyed: boolean
  emit(event: 'error', error: Error): boolean
}

const stopping = (): AoError => new AoError('STOPPING', 'the node is shutting down', {}, { hint: 'Ask another node.' })

/** Timers and the wall clock differ by a little. */
const clockSlackMs = 10

const whyOver = (call: OpenCall): AoError =>
  Number(call.getDeadline()) - systemClock.now() <= clockSlackMs
    ? new AoError('DEADLINE', 'the deadline passed')
    : new AoError('ABORTED', 'the caller gave up waiting')

import { setMaxListeners } from 'node:events'
import type {
  handleBidiStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  ServerDuplexStream,
} from '@grpc/grpc-js'
import { raceSignal, throwIfAborted } from '../../lib/abort.ts'
import { systemClock } from '../../lib/clock.ts'
import { AoError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/telemetry.ts'
import { Gathering } from './gathering.ts'
import { toServiceError } from './status.ts'
import { StreamWriter } from './stream-writer.ts'
import { wellFormed } from './tolerant.ts'

export interface Listening {
  /** Fires with `DEADLINE` or `ABORTED` when the caller no longer waits, with `STOPPING` when the server ends streams. */
  readonly signal: AbortSignal
}

/**
 * Turns plain async functions into gRPC handlers: each gets a signal, each failure leaves as an AoError, and none is
 * lost sight of before it has ended.
 */
export class CallRunner {
  readonly #log: Logger
  readonly #running = new Set<Promise<void>>()
  readonly #streams = new Set<AbortController>()
  /** What a stream listens to for when to end: its own end, or of an exchange what it takes in. */
  readonly #endings = new Set<AbortController>()
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
        listening.signal.addEventListener('abort', () => intake.abort(listening.signal.reason), { once: true })
        return exchange(call, limit, work(), { signal: listening.signal, intake: intake.signal })
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
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  #runStream(call: OpenStream, answer: (listening: Listening) => Promise<void>): AbortController {
    const controller = this.#run(call, answer, error => {
      // grpc-js sends the status of an 'error' event after the rows written so far.
      if (!call.destroyed) call.emit('error', error)
    })
    this.#streams.add(controller)
    call.once('close', () => this.#streams.delete(controller))
    return controller
  }

  #endWithServer(call: OpenStream, ending: AbortController): void {
    if (this.#ending) ending.abort(stopping()) // it was let in just before, and its request came after
    this.#endings.add(ending)
    call.once('close', () => this.#endings.delete(ending))
  }

  #run(
    call: OpenCall,
    answer: (listening: Listening) => Promise<void>,
    refuse: (error: ReturnType<typeof toServiceError>) => void,
  ): AbortController {
    const controller = new AbortController()
    setMaxListeners(0, controller.signal) // each request of a stream that is being worked on listens
    let settled = false
    // Also fires after an ordinary end, when nobody is left to tell.
    call.once('cancelled', () => {
      if (!settled) controller.abort(whyOver(call))
    })
    const running = answer({ signal: controller.signal })
      .catch((error: unknown) => {
        this.#tell(call, error)
        refuse(toServiceError(error))
      })
      .finally(() => {
        settled = true
        this.#running.delete(running)
      })
    this.#running.add(running)
    return controller
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

/** How the requests of one exchange are answered. One message on the wire may carry several of either. */
export interface Exchange<Req, Res> {
  readonly requestsIn: (message: Req) => readonly Req[]
  /** Undefined if there is nothing to answer. */
  readonly run: (request: Req, options: Listening) => Promise<Res | undefined>
  /** One message of answers that were ready at the same time. */
  readonly join: (answers: readonly Res[], to: Req) => readonly Res[]
}

async function exchange<Req, Res>(
  call: ServerDuplexStream<Req, Res>,
  limit: number,
  { requestsIn, run, join }: Exchange<Req, Res>,
  listening: Listening & { readonly intake: AbortSignal },
): Promise<void> {
  const { signal, intake } = listening
  const writer = new StreamWriter<Res>(call, listening)
  const inFlight = new Set<Promise<void>>()
  let newest: Req | undefined
  const answers = new Gathering<Res>(async ready => {
    for (const message of join(ready, newest as Req)) await writer.write(message)
  })
  // Half-closing is not the end: answers still go out, so the iterator must leave the stream alone.
  const requests = call.iterator({ destroyOnReturn: false })
  for (;;) {
    const next = await raceSignal(requests.next(), { signal: intake }).catch(error => {
      if (signal.aborted || !intake.aborted) throw error
    })
    if (next === undefined || next.done === true) break
    const { value } = next
    newest = wellFormed(value as Req)
    for (const request of requestsIn(newest)) {
      const task = run(request, listening)
        .then(answer => (answer === undefined ? undefined : answers.add(answer)))
        .finally(() => inFlight.delete(task))
      inFlight.add(task)
      task.catch(() => undefined) // seen by one of the two waits below
      while (inFlight.size >= limit) await Promise.race(inFlight)
    }
  }
  await Promise.all(inFlight)
  throwIfAborted(intake)
  call.end()
}

const stopping = (): AoError => new AoError('STOPPING', 'the node is shutting down', {}, { hint: 'Ask another node.' })

/** Timers and the wall clock differ by a little. */
const clockSlackMs = 10

const whyOver = (call: OpenCall): AoError =>
  Number(call.getDeadline()) - systemClock.now() <= clockSlackMs
    ? new AoError('DEADLINE', 'the deadline passed')
    : new AoError('ABORTED', 'the caller gave up waiting')

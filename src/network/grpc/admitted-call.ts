import type { ServerHttp2Stream } from 'node:http2'
import { Metadata, ServerInterceptingCall, type ServerInterceptingCallInterface, status } from '@grpc/grpc-js'
import { systemClock } from '../../lib/clock.ts'
import { AoError } from '../../lib/errors.ts'
import type { Caller, Callers } from './callers.ts'
import { codeOf, toWireStatus, type WireStatus } from './status.ts'

/** What is counted while it is open. */
export type HeldKind = 'calls' | 'streams'
export type CallKind = HeldKind | 'health'

/** What a call needs of the door it comes through. */
export interface CallDoor {
  readonly callers: Callers
  /** Milliseconds for the request of a call that does not stream to arrive. */
  readonly requestMs: number
  full(kind: HeldKind): AoError | undefined
  entered(kind: HeldKind): void
  left(kind: HeldKind): void
  ended(kind: HeldKind, path: string, outcome: { readonly code: string; readonly ms: number }): void
}

type Listener = Parameters<ServerInterceptingCallInterface['start']>[0]

/** How long a message of a stream above its caller's rate is held back before it is looked at again, in milliseconds. */
const pauseMs = 20

/**
 * One call at the door: refused before its body is read, or counted until it ends.
 *
 * What goes out is handed on as it is, without the closures that grpc-js makes for each message of a call with an
 * interceptor. And nothing is set on its own call objects: that made each of them outlive its call by many seconds.
 */
export class AdmittedCall extends ServerInterceptingCall {
  readonly #call: ServerInterceptingCallInterface
  readonly #door: CallDoor
  readonly #path: string
  readonly #kind: CallKind
  readonly #caller: Caller
  readonly #startedAt = systemClock.now()
  /** Counted as open. */
  #inside = false
  #late: NodeJS.Timeout | undefined
  #said: WireStatus | undefined

  constructor(
    call: ServerInterceptingCallInterface,
    door: CallDoor,
    { path, kind }: { readonly path: string; readonly kind: CallKind },
  ) {
    super(call)
    this.#call = call
    this.#door = door
    this.#path = path
    this.#kind = kind
    this.#caller = door.callers.of(call)
  }

  override start(listener: Listener): void {
    this.#call.start({
      onReceiveMetadata: metadata => {
        const refusal = this.#enter(metadata)
        if (refusal !== undefined) return this.#refuse(refusal)
        listener.onReceiveMetadata(metadata)
      },
      onReceiveMessage: message => this.#pass(message, listener),
      onReceiveHalfClose: () => listener.onReceiveHalfClose(),
      // grpc-js calls this once at the end of every call, also of a good one.
      onCancel: () => {
        this.#leave()
        listener.onCancel()
      },
    })
  }

  override sendMetadata(metadata: Metadata): void {
    this.#call.sendMetadata(metadata)
  }

  /**
   * Asks for the next as soon as its HTTP/2 stream has room, not when the last has gone out: so what is ready at once
   * (answers, or an answer and its status) leaves in one TLS record.
   */
  override sendMessage(message: unknown, callback: () => void): void {
    let waits = true
    this.#call.sendMessage(message, () => waits && callback())
    if (http2Stream(this.#call)?.writableNeedDrain !== false) return
    waits = false
    callback()
  }

  override sendStatus(said: Parameters<ServerInterceptingCallInterface['sendStatus']>[0]): void {
    this.#said ??= said as WireStatus
    this.#call.sendStatus(said)
  }

  #refuse(refusal: AoError): void {
    this.sendStatus(toWireStatus(refusal))
  }

  #enter(metadata: Metadata): AoError | undefined {
    const { callers, requestMs } = this.#door
    if (this.#kind === 'health') return callers.take(this.#caller)
    const refusal =
      this.#door.full(this.#kind) ??
      callers.admit(this.#caller, metadata) ??
      callers.take(this.#caller) ??
      callers.enter(this.#caller)
    if (refusal !== undefined) return refusal
    this.#inside = true
    this.#door.entered(this.#kind)
    // One that begins a call and never says what it wants must not hold its place.
    if (this.#kind === 'calls') this.#late = setTimeout(() => this.#giveUp(), requestMs)
    return undefined
  }

  /**
   * The first message was counted with the call; of a stream, each later one counts too, and waits for its turn: what is
   * not passed on is not asked for, so the caller's own flow control slows it down.
   */
  #pass(message: unknown, listener: Listener): void {
    clearTimeout(this.#late)
    if (this.#kind === 'streams') this.#passOn(message, messagesIn(message), listener)
    else listener.onReceiveMessage(message)
  }

  #passOn(message: unknown, count: number, listener: Listener): void {
    let left = count
    while (left > 0 && this.#door.callers.mayGoOn(this.#caller)) left--
    if (left === 0) {
      listener.onReceiveMessage(message)
      return
    }
    this.#door.callers.blame(this.#caller, 'grpc-held')
    setTimeout(() => this.#inside && this.#passOn(message, left, listener), pauseMs)
  }

  #giveUp(): void {
    this.#door.callers.blame(this.#caller, 'grpc-slow')
    this.#refuse(tooSlow(this.#door.requestMs))
  }

  #leave(): void {
    clearTimeout(this.#late)
    if (this.#kind === 'health') return
    if (this.#inside) {
      this.#door.left(this.#kind)
      this.#door.callers.leave(this.#caller)
    }
    this.#inside = false
    const byItself = this.#said === undefined ? endedByItself(this.#call) : undefined
    if (byItself !== undefined && isTooLarge(byItself)) this.#door.callers.blame(this.#caller, 'grpc-too-large')
    const said = this.#said ?? byItself
    const code = said === undefined ? whyUnsaid(this.#call) : codeOf(said)
    this.#door.ended(this.#kind, this.#path, { code, ms: systemClock.now() - this.#startedAt })
  }
}

/** Nothing was said at the end of the call: its caller has gone. */
const whyUnsaid = (call: ServerInterceptingCallInterface): string =>
  Number(call.getDeadline()) <= systemClock.now() ? 'DEADLINE' : 'ABORTED'

/** What grpc-js said of a call past its interceptors, as its HTTP/2 stream has it. */
function endedByItself(call: ServerInterceptingCallInterface): WireStatus | undefined {
  const stream = http2Stream(call)
  const sent = stream?.sentTrailers ?? stream?.sentHeaders
  if (sent?.['grpc-status'] === undefined) return undefined
  const details = decodeURI(String(sent['grpc-message'] ?? ''))
  return { code: Number(sent['grpc-status']), details, metadata: new Metadata() }
}

/** What grpc-js sends the call on, if it still keeps it there. */
const http2Stream = (call: ServerInterceptingCallInterface): ServerHttp2Stream | undefined =>
  (call as unknown as { readonly stream?: ServerHttp2Stream }).stream

/** What it says of a frame above the limit, before it is read. */
const isTooLarge = ({ code, details }: WireStatus): boolean =>
  code === status.RESOURCE_EXHAUSTED && /^received .*larger than/i.test(details)

/** A submit stream may carry several in one: they count as so many. */
const messagesIn = (message: unknown): number => 1 + ((message as { more?: readonly unknown[] }).more?.length ?? 0)

const tooSlow = (requestMs: number): AoError =>
  new AoError('DEADLINE', 'the request did not arrive in time', { requestMs })

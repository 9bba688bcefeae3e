import {
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js'
import { systemClock } from '../../lib/clock.ts'
import { AoError } from '../../lib/errors.ts'
import type { Counter, Histogram, Metrics } from '../../lib/telemetry.ts'
import type { Callers } from './callers.ts'
import { fromServiceError, toWireStatus, type WireStatus } from './status.ts'

export interface AdmissionLimits {
  readonly maxConcurrentCalls: number
  readonly maxConcurrentStreams: number
  /** Milliseconds for the request of a call that does not stream to arrive. */
  readonly requestMs: number
}

type Kind = 'calls' | 'streams'

/** How long a message of a stream above its caller's rate is held back before it is looked at again, in milliseconds. */
const pauseMs = 20

/**
 * Counts open calls and refuses the one too many before its body is read. Calls that stream have a limit of their own,
 * so that followers, who stay for hours, do not take the places of callers who want one answer.
 */
export class Admission {
  readonly #limits: Readonly<Record<Kind, number>>
  readonly #callers: Callers
  readonly #requestMs: number
  readonly #open: Record<Kind, number> = { calls: 0, streams: 0 }
  readonly #answered: Counter
  readonly #seconds: Histogram
  #closed = true

  constructor(limits: AdmissionLimits, callers: Callers, metrics: Metrics) {
    const { maxConcurrentCalls, maxConcurrentStreams, requestMs } = limits
    this.#callers = callers
    this.#requestMs = requestMs
    this.#limits = { calls: maxConcurrentCalls, streams: maxConcurrentStreams }
    this.#answered = metrics.counter('aonet_network_grpc_calls_total', 'gRPC calls ended, by method and code', [
      'method',
      'code',
    ])
    this.#seconds = metrics.histogram('aonet_network_grpc_call_seconds', 'Duration of gRPC calls that do not stream')
    metrics.gauge('aonet_network_grpc_open_calls', 'gRPC calls being answered', () => this.#open.calls)
    metrics.gauge('aonet_network_grpc_open_streams', 'gRPC streams open', () => this.#open.streams)
  }

  open(): void {
    this.#closed = false
  }

  /** From now on every new call is answered `STOPPING`. */
  close(): void {
    this.#closed = true
  }

  readonly interceptor: ServerInterceptor = ({ path, requestStream, responseStream }, call) => {
    // A loaded or stopping node still says so to who asks for its health, within his rate.
    if (path === '/grpc.health.v1.Health/Check') return this.#healthCall(call)
    return this.#admit(call, path, requestStream || responseStream ? 'streams' : 'calls')
  }

  #healthCall(call: ServerInterceptingCallInterface): ServerInterceptingCall {
    const caller = this.#callers.of(call)
    return new ServerInterceptingCall(call, {
      start: next =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            const refusal = this.#callers.take(caller)
            if (refusal === undefined) pass(metadata)
            else call.sendStatus(toWireStatus(refusal))
          },
        }),
    })
  }

  #admit(call: ServerInterceptingCallInterface, path: string, kind: Kind): ServerInterceptingCall {
    const startedAt = systemClock.now()
    const caller = this.#callers.of(call)
    let inside = false
    let late: NodeJS.Timeout | undefined
    let ended: WireStatus | undefined
    // Wrapped here, not by the responder, for grpc-js ends calls with too large a frame by itself.
    const send = call.sendStatus.bind(call)
    call.sendStatus = status => {
      ended ??= status as WireStatus
      if (isTooLarge(ended)) this.#callers.blame(caller, 'grpc-too-large')
      send(status)
    }
    const refuse = (refusal: AoError): void => call.sendStatus(toWireStatus(refusal))
    const giveUp = (): void => {
      this.#callers.blame(caller, 'grpc-slow')
      refuse(tooSlow(this.#requestMs))
    }
    return new ServerInterceptingCall(call, {
      start: next =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            const refusal =
              this.#refusal(kind) ??
              this.#callers.admit(caller, metadata.get('authorization')[0]?.toString()) ??
              this.#callers.take(caller) ??
              this.#callers.enter(caller)
            if (refusal !== undefined) return refuse(refusal)
            inside = true
            this.#open[kind]++
            // One that begins a call and never says what it wants must not hold its place.
            if (kind === 'calls') late = setTimeout(giveUp, this.#requestMs)
            pass(metadata)
          },
          // The first message was counted with the call; of a stream, each later one counts too, and waits for its turn:
          // what is not passed on is not asked for, so the caller's own flow control slows it down.
          onReceiveMessage: (message, pass) => {
            clearTimeout(late)
            if (kind === 'calls') return pass(message)
            let left = messagesIn(message)
            const again = (): void => {
              while (left > 0 && this.#callers.mayGoOn(caller)) left--
              if (left > 0) {
                this.#callers.blame(caller, 'grpc-held')
                setTimeout(() => inside && again(), pauseMs)
              } else pass(message)
            }
            again()
          },
          // grpc-js calls this once at the end of every call, also of a good one.
          onCancel: () => {
            clearTimeout(late)
            if (inside) {
              this.#open[kind]--
              this.#callers.leave(caller)
            }
            inside = false
            const method = path.replace('/ao.v1.', '')
            this.#answered.add(1, { method, code: codeOf(ended, call) })
            if (kind === 'calls') this.#seconds.observe((systemClock.now() - startedAt) / 1000)
          },
        }),
    })
  }

  #refusal(kind: Kind): AoError | undefined {
    if (this.#closed) return new AoError('STOPPING', 'the node is shutting down', {}, { hint: 'Ask another node.' })
    const limit = this.#limits[kind]
    if (this.#open[kind] < limit) return undefined
    return new AoError('OVERLOADED', `too many ${kind} at once`, { limit }, { hint: 'Try again in a moment.' })
  }
}

function codeOf(ended: WireStatus | undefined, call: ServerInterceptingCallInterface): string {
  if (ended === undefined) return Number(call.getDeadline()) <= systemClock.now() ? 'DEADLINE' : 'ABORTED'
  return ended.code === 0 ? 'OK' : fromServiceError(ended).code
}

/** What grpc-js says of a frame above the limit, before it is read. Our own refusals carry a code of ours. */
const isTooLarge = ({ code, details }: WireStatus): boolean =>
  code === status.RESOURCE_EXHAUSTED && /larger than/i.test(details)

/** A submit stream may carry several in one: they count as so many. */
const messagesIn = (message: unknown): number => 1 + ((message as { more?: readonly unknown[] }).more?.length ?? 0)

const tooSlow = (requestMs: number): AoError =>
  new AoError('DEADLINE', 'the request did not arrive in time', { requestMs })

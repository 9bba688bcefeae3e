import { ServerInterceptingCall, type ServerInterceptingCallInterface, type ServerInterceptor } from '@grpc/grpc-js'
import { systemClock } from '../../lib/clock.ts'
import { AoError } from '../../lib/errors.ts'
import type { Counter, Histogram, Metrics } from '../../lib/telemetry.ts'
import { fromServiceError, toWireStatus, type WireStatus } from './status.ts'

export interface AdmissionLimits {
  readonly maxConcurrentCalls: number
  readonly maxConcurrentStreams: number
}

type Kind = 'calls' | 'streams'

/**
 * Counts open calls and refuses the one too many before its body is read. Calls that stream have a limit of their own,
 * so that followers, who stay for hours, do not take the places of callers who want one answer.
 */
export class Admission {
  readonly #limits: Readonly<Record<Kind, number>>
  readonly #open: Record<Kind, number> = { calls: 0, streams: 0 }
  readonly #answered: Counter
  readonly #seconds: Histogram
  #closed = true

  constructor({ maxConcurrentCalls, maxConcurrentStreams }: AdmissionLimits, metrics: Metrics) {
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
    // A loaded or stopping node still says so to who asks for its health; its Watch has a bound of its own.
    if (path.startsWith('/grpc.health.')) return new ServerInterceptingCall(call)
    return this.#admit(call, path, requestStream || responseStream ? 'streams' : 'calls')
  }

  #admit(call: ServerInterceptingCallInterface, path: string, kind: Kind): ServerInterceptingCall {
    const startedAt = systemClock.now()
    let inside = false
    let ended: WireStatus | undefined
    return new ServerInterceptingCall(call, {
      start: next =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            const refusal = this.#refusal(kind)
            if (refusal === undefined) {
              inside = true
              this.#open[kind]++
              return pass(metadata)
            }
            ended = toWireStatus(refusal)
            call.sendStatus(ended)
          },
          // grpc-js calls this once at the end of every call, also of a good one.
          onCancel: () => {
            if (inside) this.#open[kind]--
            inside = false
            const method = path.replace('/ao.v1.', '')
            this.#answered.add(1, { method, code: codeOf(ended, call) })
            if (kind === 'calls') this.#seconds.observe((systemClock.now() - startedAt) / 1000)
          },
        }),
      sendStatus: (status, next) => {
        ended = status as WireStatus
        next(status)
      },
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

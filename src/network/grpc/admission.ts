import type { ServerInterceptor } from '@grpc/grpc-js'
import { type AoError, refusal } from '../../lib/errors.ts'
import type { Counter, Histogram, Metrics } from '../../lib/telemetry.ts'
import { AdmittedCall, type CallDoor, type CallKind, type HeldKind } from './admitted-call.ts'
import type { Callers } from './callers.ts'

export interface AdmissionLimits {
  readonly maxConcurrentCalls: number
  readonly maxConcurrentStreams: number
  /** Milliseconds for the request of a call that does not stream to arrive. */
  readonly requestMs: number
}

/**
 * Counts open calls and refuses the one too many before its body is read. Calls that stream have a limit of their own,
 * so that followers, who stay for hours, do not take the places of callers who want one answer.
 */
export class Admission implements CallDoor {
  readonly callers: Callers
  readonly requestMs: number
  readonly #limits: Readonly<Record<HeldKind, number>>
  readonly #open: Record<HeldKind, number> = { calls: 0, streams: 0 }
  readonly #answered: Counter
  readonly #seconds: Histogram
  #closed = true

  constructor(limits: AdmissionLimits, callers: Callers, metrics: Metrics) {
    const { maxConcurrentCalls, maxConcurrentStreams, requestMs } = limits
    this.callers = callers
    this.requestMs = requestMs
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

  readonly interceptor: ServerInterceptor = ({ path, requestStream, responseStream }, call) =>
    new AdmittedCall(call, this, { path, kind: kindOf(path, requestStream || responseStream) })

  /** @returns why the node takes no more calls of the kind, if so. */
  full(kind: HeldKind): AoError | undefined {
    if (this.#closed) return refusal('STOPPING', 'the node is shutting down', {}, { hint: 'Ask another node.' })
    const limit = this.#limits[kind]
    if (this.#open[kind] < limit) return undefined
    return refusal('OVERLOADED', `too many ${kind} at once`, { limit }, { hint: 'Try again in a moment.' })
  }

  entered(kind: HeldKind): void {
    this.#open[kind]++
  }

  left(kind: HeldKind): void {
    this.#open[kind]--
  }

  ended(kind: HeldKind, path: string, { code, ms }: { readonly code: string; readonly ms: number }): void {
    this.#answered.add(1, { method: path.replace('/ao.v1.', ''), code })
    if (kind === 'calls') this.#seconds.observe(ms / 1000)
  }
}

/** A loaded or stopping node still says so to who asks for its health, within his rate. */
const kindOf = (path: string, streams: boolean): CallKind => {
  if (path === '/grpc.health.v1.Health/Check') return 'health'
  return streams ? 'streams' : 'calls'
}

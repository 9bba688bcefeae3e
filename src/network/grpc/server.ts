import type { Duplex } from 'node:stream'
import { type ConnectionInjector, logVerbosity, Server, setLogVerbosity } from '@grpc/grpc-js'
import { HealthImplementation } from 'grpc-health-check'
import { type AbortOptions, sleep, throwIfAborted } from '../../lib/abort.ts'
import type { Component } from '../../lib/component.ts'
import { AoError } from '../../lib/errors.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { NodeInfoSource } from '../../ports/node-info.ts'
import type { Compute, Messenger, Scheduler } from '../../ports/units.ts'
import { absentCompute, absentMessenger, absentScheduler } from './absent-units.ts'
import { Admission } from './admission.ts'
import { bind, credentialsOf, limitConnections, onSession } from './bind.ts'
import { CallRunner } from './call-runner.ts'
import { type CallerLimits, Callers, type CallersDeps } from './callers.ts'
import type { Certificate } from './certificate.ts'
import { computeService } from './compute-service.ts'
import { ComputeService } from './generated/ao/v1/compute.ts'
import { MessengerService } from './generated/ao/v1/messenger.ts'
import { NodeService } from './generated/ao/v1/node.ts'
import { SchedulerService } from './generated/ao/v1/scheduler.ts'
import { messengerService } from './messenger-service.ts'
import { nodeService } from './node-service.ts'
import { addReflection } from './reflection.ts'
import { schedulerService } from './scheduler-service.ts'
import { tolerant } from './tolerant.ts'

export interface GrpcServerDeps extends Telemetry {
  /** A unit that is left out answers `WRONG_UNIT`. */
  readonly units: {
    readonly scheduler?: Scheduler | undefined
    readonly compute?: Compute | undefined
    readonly messenger?: Messenger | undefined
  }
  readonly node: NodeInfoSource
  readonly callers?: CallersDeps | undefined
}

export interface GrpcServerOptions {
  readonly host: string
  /** 0 for any free one; see `port` after the start. */
  readonly port: number
  readonly certificate: Certificate
  readonly maxMessageBytes?: number | undefined
  readonly maxConcurrentCalls?: number | undefined
  readonly maxConcurrentStreams?: number | undefined
  /** Questions of one stream that are worked on at once. */
  readonly maxInFlightPerStream?: number | undefined
  /** How long `stop` waits for open calls before it cuts them. */
  readonly drainMs?: number | undefined
  readonly keepaliveMs?: number | undefined
  /** After this age a connection takes no new calls; those open on it go on to their end. */
  readonly maxConnectionAgeMs?: number | undefined
  /** A connection without a call for so long is closed. */
  readonly maxConnectionIdleMs?: number | undefined
  /** How long the request of a call that does not stream may take to arrive. */
  readonly requestMs?: number | undefined
  /** Connections at once, and of one IP address. */
  readonly maxConnections?: number | undefined
  readonly maxConnectionsPerIp?: number | undefined
  /** What one caller may ask; without it, all that the server can take. */
  readonly callerLimits?: CallerLimits | undefined
}

export const grpcDefaults = {
  /** An item of 10 MiB, which is the most the protocol takes, with room for its envelope. */
  maxMessageBytes: 12 * 1024 * 1024,
  maxConcurrentCalls: 1024,
  maxConcurrentStreams: 2048,
  maxInFlightPerStream: 256, // as many as a scheduler puts into one batch
  drainMs: 5_000,
  keepaliveMs: 30_000,
  maxConnectionAgeMs: 30 * 60_000,
  maxConnectionIdleMs: 5 * 60_000,
  requestMs: 30_000, // 10 MiB over a slow line
  maxConnections: 2_000,
  maxConnectionsPerIp: 500,
} as const

/** For the word `STOPPING` to reach those whose streams are cut. */
const farewellMs = 200

/** The node's gRPC door: TLS, limits, health and reflection around its units. */
export class GrpcServer implements Component {
  readonly name = 'grpc-server'
  readonly #deps: GrpcServerDeps
  readonly #options: Settings
  readonly #admission: Admission
  readonly #callers: Callers
  #running: Running | undefined

  constructor(deps: GrpcServerDeps, options: GrpcServerOptions) {
    this.#deps = deps
    this.#options = {
      ...grpcDefaults,
      ...(withoutUndefined(options) as Pick<Settings, 'host' | 'port' | 'certificate'>),
    }
    this.#callers = new Callers(deps.callers ?? {}, options.callerLimits, deps.metrics)
    this.#admission = new Admission(this.#options, this.#callers, deps.metrics)
  }

  /** Serves a connection that came another way than by the port; TLS and its certificates are the same. */
  inject(connection: Duplex): void {
    if (this.#running === undefined) connection.destroy()
    else this.#running.injector.injectConnection(connection)
  }

  /** The port it listens on. @throws AoError `NOT_READY` before the start. */
  get port(): number {
    if (this.#running === undefined) throw new AoError('NOT_READY', 'the gRPC server is not started')
    return this.#running.port
  }

  /** @throws AoError `PORT_IN_USE` | `INVALID_CONFIG` if it cannot listen there. */
  async start({ signal }: AbortOptions = {}): Promise<void> {
    if (this.#running !== undefined) return
    throwIfAborted(signal)
    setLogVerbosity(logVerbosity.NONE) // what grpc-js would print on stderr comes back as an error with a code
    const { log } = this.#deps
    const calls = new CallRunner(log)
    const server = new Server({ interceptors: [this.#admission.interceptor], ...this.#channelOptions() })
    this.#addServices(server, calls)
    const health = new HealthImplementation(this.#health('SERVING'))
    health.addToServer(server as Parameters<HealthImplementation['addToServer']>[0])
    addReflection(server)
    const port = await bind(server, this.#options)
    limitConnections(server, this.#options, (address, offence) => this.#deps.callers?.onOffence?.(address, offence))
    this.#admission.open()
    const injector = server.createConnectionInjector(credentialsOf(this.#options.certificate))
    onSession(server, session => this.#callers.greet(session))
    this.#running = { server, injector, calls, health, port }
    log.info('grpc-listening', { host: this.#options.host, port })
  }

  /** Refuses new calls and questions, ends streams, waits up to `drainMs` for what was taken, then cuts it. */
  async stop(): Promise<void> {
    const running = this.#running
    if (running === undefined) return
    this.#running = undefined
    const { server, calls, health } = running
    for (const service of Object.keys(this.#health('NOT_SERVING'))) health.setStatus(service, 'NOT_SERVING')
    this.#admission.close()
    calls.endStreams()
    const closed = new Promise<void>(resolve => server.tryShutdown(() => resolve()))
    running.injector.drain(this.#options.drainMs)
    const drained = await within(this.#options.drainMs, closed)
    calls.cutStreams()
    if (!drained) await within(farewellMs, closed)
    running.injector.destroy()
    server.forceShutdown()
    if (!drained) this.#deps.log.warn('grpc-calls-cut', { afterMs: this.#options.drainMs })
    // The signals of cut calls have fired; a unit that does not listen must not keep the node from stopping.
    const idle = await within(this.#options.drainMs, calls.idle())
    if (!idle) this.#deps.log.error('grpc-handlers-stuck', {})
  }

  #addServices(server: Server, calls: CallRunner): void {
    const { scheduler, compute, messenger } = this.#deps.units
    const maxInFlight = this.#options.maxInFlightPerStream
    server.addService(
      tolerant(SchedulerService),
      schedulerService(calls, scheduler ?? absentScheduler, { maxInFlight }),
    )
    server.addService(
      tolerant(ComputeService),
      computeService(
        calls,
        { compute: compute ?? absentCompute, scheduler: scheduler ?? absentScheduler },
        { maxInFlight },
      ),
    )
    server.addService(
      tolerant(MessengerService),
      messengerService(calls, messenger ?? absentMessenger, { maxInFlight }),
    )
    server.addService(tolerant(NodeService), nodeService(calls, this.#deps.node))
  }

  #health(status: 'SERVING' | 'NOT_SERVING'): Record<string, 'SERVING' | 'NOT_SERVING'> {
    const { units } = this.#deps
    const of = (unit: unknown) => (unit === undefined ? 'NOT_SERVING' : status)
    return {
      '': status,
      'ao.v1.Node': status,
      'ao.v1.Scheduler': of(units.scheduler),
      'ao.v1.Compute': of(units.compute),
      'ao.v1.Messenger': of(units.messenger),
    }
  }

  #channelOptions() {
    const { maxMessageBytes, maxConcurrentCalls, keepaliveMs, maxConnectionAgeMs, maxConnectionIdleMs } = this.#options
    return {
      // Without `grpc.enable_channelz`, its default, grpc-js loses sight of its sessions, and cannot end them at a stop.
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
      // Above our own limit, so that one connection alone learns of it by OVERLOADED and not by silence.
      'grpc.max_concurrent_streams': maxConcurrentCalls * 2,
      'grpc.keepalive_time_ms': keepaliveMs,
      'grpc.keepalive_timeout_ms': keepaliveMs / 3,
      'grpc.max_connection_age_ms': maxConnectionAgeMs,
      'grpc.max_connection_idle_ms': maxConnectionIdleMs,
    }
  }
}

type Settings = { readonly [K in keyof Omit<GrpcServerOptions, 'callerLimits'>]-?: NonNullable<GrpcServerOptions[K]> }

interface Running {
  readonly server: Server
  readonly injector: ConnectionInjector
  readonly calls: CallRunner
  readonly health: HealthImplementation
  readonly port: number
}

/** Whether the promise settled within that time. */
async function within(ms: number, promise: Promise<void>): Promise<boolean> {
  const timer = new AbortController()
  const late = sleep(ms, timer).then(
    () => false,
    () => false,
  )
  const inTime = await Promise.race([promise.then(() => true), late])
  timer.abort()
  return inTime
}

const withoutUndefined = <T extends object>(options: T): T =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T

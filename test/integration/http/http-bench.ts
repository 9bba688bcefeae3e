import type { FastifyInstance } from 'fastify'
import { cuRoutes } from '../../../src/http/cu-routes.ts'
import { defaultEventStreamLimits, type EventStreamLimits, EventStreams } from '../../../src/http/event-stream.ts'
import { hyperbeamRoutes } from '../../../src/http/hyperbeam-routes.ts'
import { liveRoutes } from '../../../src/http/live-routes.ts'
import { muRoutes } from '../../../src/http/mu-routes.ts'
import { HttpServer, type Routes } from '../../../src/http/server.ts'
import { suRoutes } from '../../../src/http/su-routes.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { type Logger, silentTelemetry } from '../../../src/lib/telemetry.ts'
import type { Compute } from '../../../src/ports/units.ts'
import { recorder, type Script } from '../../support/script-vm.ts'
import { type NodeOptions, UnitNetwork, type UnitNode } from '../../support/unit-network.ts'

/** Answers with the message's own data, or fails when that says so. */
const parrot: Script = (state, message) =>
  message['Data'] === 'fail' ? { state, answer: { Error: 'as asked' } } : { state, answer: { Output: message['Data'] } }

export interface HttpBenchOptions {
  readonly streams?: EventStreamLimits
  readonly maxItemBytes?: number
  /** In the place of the node's. */
  readonly compute?: (unit: Compute) => Compute
  readonly more?: readonly Routes[]
  /** Of the node's MU. */
  readonly wrap?: NodeOptions['wrap']
  readonly scripts?: Readonly<Record<string, Script>>
}

/** Real units of one node, in memory, behind a real HTTP server. */
export class HttpBench {
  readonly net: UnitNetwork
  readonly node: UnitNode
  readonly #http: HttpServer
  /** What the server logged as its own fault. */
  readonly faults: object[]

  readonly #server: () => FastifyInstance

  private constructor(
    net: UnitNetwork,
    node: UnitNode,
    { http, faults, server }: { http: HttpServer; faults: object[]; server: () => FastifyInstance },
  ) {
    this.#server = server
    this.net = net
    this.node = node
    this.#http = http
    this.faults = faults
  }

  static async start({
    maxItemBytes = 100_000,
    compute = unit => unit,
    more = [],
    streams = defaultEventStreamLimits,
    wrap = {},
    scripts = {},
  }: HttpBenchOptions = {}) {
    const net = new UnitNetwork({ recorder, parrot, ...scripts })
    const node = await net.node('su', ['MU', 'SU', 'CU'], { wrap })
    const faults: object[] = []
    const log: Logger = { ...silentTelemetry.log, error: (event, facts) => faults.push({ event, ...facts }) }
    const { scheduler, address } = node
    const head = () => net.arweave.head()
    let fastify: FastifyInstance | undefined
    const server = (): FastifyInstance => {
      if (fastify === undefined) throw new TypeError('not started')
      return fastify
    }
    const http = new HttpServer(
      {
        ...{ ...silentTelemetry, log },
        routes: [
          muRoutes(node, { maxItemBytes }),
          suRoutes({ scheduler, address: () => address, head, clock: systemClock }, { maxItemBytes }),
          cuRoutes({ compute: compute(node.compute), address, clock: systemClock }),
          liveRoutes({ scheduler, compute: compute(node.compute) }, new EventStreams(streams)),
          hyperbeamRoutes({ ...node, compute: compute(node.compute), address: () => address }, { maxItemBytes }),
          ...more,
          instance => {
            fastify = instance
          },
        ],
      },
      { host: '127.0.0.1', port: 0, version: '1.2.3' },
    )
    await http.start()
    return new HttpBench(net, node, { http, faults, server })
  }

  get url(): string {
    return this.#http.url
  }

  /** How many are open. */
  connections(): Promise<number> {
    return new Promise((resolve, reject) =>
      this.#server().server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
    )
  }

  async stop(): Promise<void> {
    await this.#http.stop()
    await this.net.stop()
  }

  get(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, init)
  }

  async json<T = Record<string, unknown>>(path: string): Promise<T> {
    const answer = await this.get(path)
    const body = await answer.text()
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${body}`)
    return JSON.parse(body) as T
  }

  post(path: string, body: Uint8Array | string): Promise<Response> {
    return this.get(path, { method: 'POST', body: body as BodyInit })
  }
}

/** Status, code and text of a refusal. */
export async function refusal(
  answer: Response,
): Promise<{ status: number; code: unknown; error: string; hint: unknown }> {
  const { error, code, facts, hint } = (await answer.json()) as Record<string, unknown>
  if (typeof error !== 'string' || typeof facts !== 'object') throw new Error('not the shape of a failure')
  return { status: answer.status, code, error, hint }
}

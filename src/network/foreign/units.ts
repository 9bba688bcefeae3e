import type { Component } from '../../lib/component.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { ForeignPlace, ForeignScheduler, ForeignUnits } from '../../ports/foreign.ts'
import { ForeignHttp, type ForeignHttpOptions } from './http.ts'
import { HttpForeignScheduler } from './scheduler.ts'

/** Units of other networks over HTTP, with the connections to them. */
export class HttpForeignUnits implements ForeignUnits, Component {
  readonly name = 'foreign units'
  readonly #http: ForeignHttp

  constructor(telemetry: Telemetry, options: Partial<ForeignHttpOptions> = {}) {
    this.#http = new ForeignHttp(telemetry, options)
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    this.#http.close()
  }

  scheduler(place: ForeignPlace): ForeignScheduler {
    return new HttpForeignScheduler(this.#http, place)
  }
}

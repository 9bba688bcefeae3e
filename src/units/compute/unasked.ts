import { Slots } from '../../lib/slots.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { HostTable } from '../../ports/hosts.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import type { ProcessId } from '../../protocol/ids.ts'
import { failureFacts } from '../failure.ts'
import type { Routes } from '../routing/route.ts'
import type { Replica } from './replay.ts'

export interface UnaskedDeps {
  readonly routes: Pick<Routes, 'process'>
  readonly hosts?: HostTable | undefined
  readonly telemetry: Telemetry
  readonly stopped: AbortSignal
  /** The Replica of a Process, if there is one. */
  readonly peek: (process: ProcessId) => Replica | undefined
  readonly use: (process: ProcessId, work: (replica: Replica) => Promise<void>) => Promise<void>
}
export interface UnaskedOptions {
  /** Warm Processes brought up to date at once because gossip told of a new message. */
  readonly maxAhead: number
  /** Processes opened again at once because their worker was lost. */
  readonly maxReviving: number
}

/** What a CU does before anybody asks, so that whoever asks next need not wait for it. */
export class Unasked {
  readonly #deps: UnaskedDeps
  readonly #options: UnaskedOptions
  readonly #reviving: Slots
  #ahead = 0

  constructor(deps: UnaskedDeps, options: UnaskedOptions) {
    this.#deps = deps
    this.#options = options
    this.#reviving = new Slots(options.maxReviving)
  }

  /** A Process that is warm here is brought up to date. */
  follow(assignment: Assignment): void {
    const { routes, hosts, peek, use, telemetry } = this.#deps
    const { process, nonce } = assignment
    const warmAt = peek(process)?.warmAt
    if (warmAt === undefined || nonce <= warmAt || this.#ahead >= this.#options.maxAhead) return
    this.#ahead++
    routes
      .process(process)
      .then(({ spec }) => {
        const host = hosts?.hostOf(process, spec.scheduler)?.scheduler ?? spec.scheduler
        return host === assignment.scheduler ? use(process, warm => warm.reach(nonce)) : undefined
      })
      .catch(error => telemetry.log.debug('not-brought-up-to-date', { process, ...failureFacts(error) }))
      .finally(() => this.#ahead--)
  }

  /** A Process is opened again, though another took its worker down. */
  revive(process: ProcessId): void {
    const { stopped, use, telemetry } = this.#deps
    if (stopped.aborted) return
    this.#reviving
      .run(() => use(process, replica => replica.revive()))
      .catch(error => telemetry.log.debug('not-opened-again', { process, ...failureFacts(error) }))
  }
}

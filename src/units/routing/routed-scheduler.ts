import type { AbortOptions } from '../../lib/abort.ts'
import type { PeerDirectory } from '../../ports/peers.ts'
import type { AssignRequest, NonceRange, ProcessLookup, ScheduleClock, Scheduler } from '../../ports/units.ts'
import type { Assignment, ScheduledMessage } from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { Address, MessageId, Nonce, ProcessId } from '../../protocol/ids.ts'
import { parseAoItem } from '../../protocol/message.ts'
import { isUnitsFault } from './failover.ts'
import type { Routes } from './route.ts'

export interface RoutedSchedulerDeps {
  readonly routes: Routes
  readonly directory: PeerDirectory
  /** Hears of messages that a host did not order. */
  readonly onRefused?: ((message: DataItem, error: unknown) => void) | undefined
  /** Hears of what a host answers that it has ordered. */
  readonly onOrdered?: ((assignment: Assignment) => void) | undefined
  /** What this node itself has of a schedule. */
  readonly kept?: ((process: ProcessId, range: NonceRange) => AsyncIterable<ScheduledMessage>) | undefined
}

/** Schedules any Process of the network, at whichever SU hosts it. There is no second one to ask. */
export class RoutedScheduler implements Scheduler {
  readonly #deps: RoutedSchedulerDeps

  constructor(deps: RoutedSchedulerDeps) {
    this.#deps = deps
  }

  async schedule(message: DataItem, options: AbortOptions = {}): Promise<Assignment> {
    const { routes } = this.#deps
    const ao = parseAoItem(message)
    const spec = ao.type === 'Process' ? ao.spec : (await routes.process(ao.process, options)).spec
    const host = routes.hostOf(ao.process, spec)
    const scheduler = await routes.schedulerAt(host, options)
    const ordered = scheduler.schedule(message, options)
    ordered.catch(error => this.#deps.onRefused?.(message, error))
    const assignment = await this.#reported(host, ordered, options)
    this.#deps.onOrdered?.(assignment)
    if (ao.type === 'Process') await routes.remember(message)
    return assignment
  }

  async assign(request: AssignRequest, options: AbortOptions = {}): Promise<Assignment> {
    const { spec } = await this.#deps.routes.process(request.process, options)
    const host = this.#deps.routes.hostOf(request.process, spec)
    const scheduler = await this.#deps.routes.schedulerAt(host, options)
    const assignment = await this.#reported(host, scheduler.assign(request, options), options)
    this.#deps.onOrdered?.(assignment)
    return assignment
  }

  async clock(process: ProcessId, options: AbortOptions = {}): Promise<ScheduleClock> {
    const { spec } = await this.#deps.routes.process(process, options)
    const host = this.#deps.routes.readerOf(process, spec)
    const scheduler = await this.#deps.routes.schedulerAt(host, options)
    return this.#reported(host, scheduler.clock(process, options), options)
  }

  async assignment(
    process: ProcessId,
    at: MessageId | Nonce | 'newest',
    options: AbortOptions = {},
  ): Promise<Assignment> {
    const { spec } = await this.#deps.routes.process(process, options)
    const host = this.#deps.routes.readerOf(process, spec)
    const scheduler = await this.#deps.routes.schedulerAt(host, options)
    return this.#reported(host, scheduler.assignment(process, at, options), options)
  }

  async process(process: ProcessId, { here = false, ...options }: ProcessLookup = {}): Promise<DataItem> {
    if (here) return (await this.#deps.routes.held(process)).item
    return (await this.#deps.routes.process(process, options)).item
  }

  async *read(process: ProcessId, range: NonceRange, options: AbortOptions = {}): AsyncIterable<ScheduledMessage> {
    if (range.kept === true) {
      yield* this.#deps.kept?.(process, range) ?? []
      return
    }
    const scheduler = await this.#deps.routes.scheduler(process, options)
    yield* scheduler.read(process, range, options)
  }

  async #reported<T>(address: Address, call: Promise<T>, { signal }: AbortOptions): Promise<T> {
    const { directory } = this.#deps
    try {
      const answer = await call
      directory.report(address, 'ok')
      return answer
    } catch (error) {
      if (signal?.aborted !== true && isUnitsFault(error)) directory.report(address, 'failed', error)
      throw error
    }
  }
}

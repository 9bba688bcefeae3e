import type { AbortOptions } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Component } from '../../lib/component.ts'
import { hasCode } from '../../lib/errors.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { CrankJob, CrankQueue } from '../../ports/crank-queue.ts'
import type { HostTable } from '../../ports/hosts.ts'
import type { Scheduler } from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { parseStoredItem } from '../../protocol/data-item.ts'
import type { ProcessId } from '../../protocol/ids.ts'
import { failureFacts } from '../failure.ts'
import { Loop } from '../loop.ts'
import { newJob } from './job.ts'

export interface RevivalDeps {
  readonly queue: Pick<CrankQueue, 'ofProcess' | 'item'>
  /** Routed: any Process of the network. */
  readonly scheduler: Pick<Scheduler, 'assignment' | 'schedule'>
  readonly hosts?: HostTable | undefined
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Puts jobs in the place of those of the same messages. */
  readonly reopen: (jobs: readonly CrankJob[]) => Promise<void>
}
export interface RevivalOptions {
  /** Between two looks at the host table, in milliseconds. */
  readonly revivalEveryMs: number
}

/** So many messages in a row that the new host has, newest first: then those before are there too. */
const enoughKept = 64

/**
 * Has messages ordered again that this MU was told a place for which counts no more: their Process got another host, and
 * its log goes on from before them.
 */
export class Revival implements Component {
  readonly name = 'revival'
  readonly #deps: RevivalDeps
  readonly #loop: Loop
  readonly #done = new Map<ProcessId, number>()

  constructor(deps: RevivalDeps, options: RevivalOptions) {
    this.#deps = deps
    this.#loop = Loop.every(options.revivalEveryMs, abort => this.tick(abort), deps.telemetry.log, this.name)
  }

  async start(): Promise<void> {
    if (this.#deps.hosts !== undefined) await this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /** One round over the Processes that changed their host since the last. */
  async tick(options: AbortOptions = {}): Promise<void> {
    const { hosts, telemetry } = this.#deps
    for (const process of hosts?.rehosted() ?? []) {
      const epoch = hosts?.newestEpoch(process) ?? 0
      if (this.#done.get(process) === epoch) continue
      try {
        await this.#revive(process, epoch, options)
        this.#done.set(process, epoch)
      } catch (error) {
        telemetry.log.debug('messages-not-ordered-again-yet', { process, ...failureFacts(error) })
      }
    }
  }

  async #revive(process: ProcessId, epoch: number, options: AbortOptions): Promise<void> {
    const all = await this.#deps.queue.ofProcess(process)
    const old = all.filter(job => job.cron === undefined && (job.epoch ?? 0) < epoch).sort((a, b) => b.nonce - a.nonce)
    const moved: { readonly job: CrankJob; readonly to: Assignment | undefined }[] = []
    let kept = 0
    for (const job of old) {
      if (kept >= enoughKept) break
      const to = await this.#placeOf(job, options)
      if (to?.nonce === job.nonce && to.epoch === (job.epoch ?? 0)) kept++
      else moved.push({ job, to })
    }
    for (const { job, to } of moved.reverse()) await this.#move(job, to, options) // in the order in which they were
  }

  async #placeOf({ process, message }: CrankJob, options: AbortOptions): Promise<Assignment | undefined> {
    try {
      return await this.#deps.scheduler.assignment(process, message, options)
    } catch (error) {
      if (hasCode(error, 'UNKNOWN_MESSAGE')) return undefined
      throw error
    }
  }

  /** @param to where the new host has it already; else it is ordered there now. */
  async #move(job: CrankJob, to: Assignment | undefined, options: AbortOptions): Promise<void> {
    const { queue, scheduler, clock, telemetry, reopen } = this.#deps
    const { process, message, root, depth } = job
    const bytes = to === undefined ? await queue.item(process, message) : undefined
    const assignment = to ?? (bytes && (await scheduler.schedule(parseStoredItem(bytes), options)))
    if (assignment === undefined) return telemetry.log.error('message-lost-with-its-host', { process, message })
    await reopen([newJob({ ...assignment, message }, { root, depth, now: clock.now() })])
    telemetry.log.warn('message-ordered-again', { process, message, before: job.nonce, nonce: assignment.nonce })
  }
}

import { AoError } from '../../lib/errors.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { ScheduledMessage } from '../../protocol/assignment.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import { failureFacts } from '../failure.ts'

export interface ShownDeps {
  readonly arweave: Pick<ArweaveClient, 'upload'>
  readonly telemetry: Telemetry
}

/** Process items that wait to be shown; beyond that the settled bundle has to do. */
const maxWaiting = 1_000
/** Uploaded at once. */
const maxUploads = 4
/** Free uploaders take small items only. */
const maxBytes = 100 * 1024

/**
 * Hands new Process items to the uploader as soon as they are durable, so that clients who look on Arweave (for a Process
 * of a name, for its scheduler) find them before they are settled. Best effort: settling brings them there in any case.
 */
export class ShownProcesses {
  readonly #deps: ShownDeps
  readonly #stop = new AbortController()
  readonly #waiting: DataItem[] = []
  readonly #uploads = new Set<Promise<void>>()

  constructor(deps: ShownDeps) {
    this.#deps = deps
  }

  show(batch: readonly ScheduledMessage[]): void {
    for (const { assignment, message } of batch) {
      const isNew = assignment.nonce === 0 && message !== undefined && message.raw.length <= maxBytes
      if (isNew && this.#waiting.length < maxWaiting) this.#waiting.push(message)
    }
    while (this.#waiting.length > 0 && this.#uploads.size < maxUploads) {
      const upload = this.#uploadAll().finally(() => this.#uploads.delete(upload))
      this.#uploads.add(upload)
    }
  }

  /** Drops what waits; resolves when nothing is in flight. */
  async stop(): Promise<void> {
    this.#waiting.length = 0
    this.#stop.abort(new AoError('STOPPING', 'the scheduler unit is shutting down'))
    await Promise.all(this.#uploads)
  }

  async #uploadAll(): Promise<void> {
    for (let item = this.#waiting.shift(); item !== undefined; item = this.#waiting.shift()) {
      try {
        await this.#deps.arweave.upload(item, { signal: this.#stop.signal })
      } catch (error) {
        this.#deps.telemetry.log.debug('process-not-shown-before-it-settles', { id: item.id, ...failureFacts(error) })
      }
    }
  }
}

import type { AbortOptions } from '../../lib/abort.ts'
import type { Component } from '../../lib/component.ts'
import { AoError } from '../../lib/errors.ts'
import type { Telemetry } from '../../lib/telemetry.ts'
import type { ArweaveClient } from '../../ports/settlement.ts'
import type { BlockAnchor } from '../../protocol/assignment.ts'
import { Loop } from '../loop.ts'

export interface ChainHeadDeps {
  readonly arweave: ArweaveClient
  readonly telemetry: Telemetry
}

/** The Arweave block that Assignments name, `depth` below the newest: asks every `pollMs`, and keeps it through failures. */
export class ChainHead implements Component {
  readonly name = 'chain head'
  readonly #loop: Loop
  #head: BlockAnchor | undefined
  /** Hash of the newest block at the last look. */
  #seen: string | undefined

  constructor(
    { arweave, telemetry }: ChainHeadDeps,
    { pollMs, depth }: { readonly pollMs: number; readonly depth: number },
  ) {
    const look = async (options: AbortOptions): Promise<void> => {
      const newest = await arweave.head(options)
      if (newest.hash === this.#seen) return
      const named = depth === 0 ? newest : await arweave.block(Math.max(0, newest.height - depth), options)
      if (named === undefined) return // the gateway does not have it now: again at the next look
      this.#seen = newest.hash
      this.#head = named
    }
    this.#loop = Loop.every(pollMs, look, telemetry.log, this.name)
    telemetry.metrics.gauge(
      'aonet_scheduler_block_height',
      'Arweave block that Assignments name',
      () => this.#head?.height ?? 0,
    )
  }

  /** @throws AoError `NOT_READY` until the first answer. */
  current(): BlockAnchor {
    if (this.#head !== undefined) return this.#head
    throw new AoError(
      'NOT_READY',
      'the scheduler has not seen a block of Arweave yet',
      {},
      { hint: 'Try again in a few seconds; if it stays, check the Arweave gateway of this node.' },
    )
  }

  start(): Promise<void> {
    return this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }
}

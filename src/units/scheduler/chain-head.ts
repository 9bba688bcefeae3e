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

/** The newest Arweave block this node has seen: asks every `pollMs` and keeps the last answer through failures. */
export class ChainHead implements Component {
  readonly name = 'chain head'
  readonly #loop: Loop
  #head: BlockAnchor | undefined

  constructor({ arweave, telemetry }: ChainHeadDeps, { pollMs }: { readonly pollMs: number }) {
    const look = async (options: AbortOptions): Promise<void> => {
      this.#head = await arweave.head(options)
    }
    this.#loop = Loop.every(pollMs, look, telemetry.log, this.name)
    telemetry.metrics.gauge('aonet_scheduler_block_height', 'Newest Arweave block seen', () => this.#head?.height ?? 0)
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

import type { Checkpoint } from '../../ports/checkpoint-store.ts'
import type { Checkpoints } from './checkpoint.ts'
import { checkpointOf, type Live, noteSaved, replayMs } from './live.ts'

export interface SavesDeps {
  readonly checkpoints: Checkpoints
  readonly meter: string
  /** Fires when the unit can wait no longer. */
  readonly cutOff: AbortSignal
}
export interface SavesOptions {
  /** A checkpoint is due when a replay since the last one would take so long, in milliseconds. */
  readonly checkpointAfterMs: number
  /** A state that a replay makes again in less is not saved when its instance is closed. */
  readonly notWorthMs: number
}

/** The checkpoints of one Process, taken one at a time beside its evaluation, which waits for none. */
export class Saves {
  readonly #deps: SavesDeps
  readonly #options: SavesOptions
  #saving: Promise<unknown> | undefined

  constructor(deps: SavesDeps, options: SavesOptions) {
    this.#deps = deps
    this.#options = options
  }

  isDue(live: Live): boolean {
    return (
      this.#saving === undefined && replayMs(live) >= this.#options.checkpointAfterMs && this.#deps.checkpoints.hasRoom
    )
  }

  begin(live: Live): void {
    this.#saving = this.#deps.checkpoints.trySave(() => this.#checkpoint(live))
    if (this.#saving === undefined) return // others are being saved: the next message asks again
    noteSaved(live)
    void this.#saving.then(() => {
      this.#saving = undefined
    })
  }

  /** Resolves when none is under way. */
  async ended(): Promise<void> {
    await this.#saving
  }

  /** Before an instance is closed: resolves when its state is on disk, if that is worth it. */
  async last(live: Live): Promise<void> {
    await this.#saving
    if (replayMs(live) < this.#options.notWorthMs) return
    await this.#deps.checkpoints.save(() => this.#checkpoint(live))
  }

  #checkpoint(live: Live): Promise<Checkpoint> {
    const { meter, cutOff: signal } = this.#deps
    return checkpointOf(live, { meter, signal })
  }
}

import type { VmImage, VmMessage } from '../ports/vm.ts'
import type { Evaluation } from '../protocol/result.ts'
import type { Journal, Missed } from './journal.ts'
import type { RemoteProcess } from './remote-process.ts'

/** Where copies of one live instance come from. */
export interface ForkSource {
  readonly live: RemoteProcess
  readonly journal: Journal
  /** An instance with that state on a thread for dry-runs; `place` is one that no other copy of this Process has. */
  open(image: VmImage, place: number, mayLeave: () => boolean): Promise<RemoteProcess>
}

/** A copy of a live instance. It lags behind until it is needed. */
export class Fork {
  readonly place: number
  /** What it is counted for, in bytes. */
  size = 0
  readonly #source: ForkSource
  readonly #mayLeave: () => boolean
  #vm: RemoteProcess | undefined
  /** How many messages led to its state. */
  #at = -1

  /** @param mayLeave asked when what it evaluates belongs in the slow lane. */
  constructor(source: ForkSource, place: number, mayLeave: (fork: Fork) => boolean) {
    this.#source = source
    this.place = place
    this.#mayLeave = () => mayLeave(this)
  }

  get at(): number {
    return this.#at
  }

  get residentBytes(): number {
    return this.#vm?.usage.residentBytes ?? 0
  }

  /**
   * What makes its state at least as new as the live one was after so many messages; nothing if it is. The live instance
   * is asked for its state only where the journal does not reach.
   *
   * @throws AoError as `snapshot` of the live instance.
   */
  async missing(wanted: number): Promise<VmImage | Missed | undefined> {
    if (this.#at >= wanted) return undefined
    const { live, journal } = this.#source
    const missed = this.#vm && journal.since(this.#at)
    return missed !== undefined && missed.applied >= wanted ? missed : live.snapshot()
  }

  /** @throws AoError if the copy is lost: it is of no more use then. */
  async dryRun(message: VmMessage, missing: VmImage | Missed | undefined): Promise<Evaluation> {
    const vm = await this.#bring(missing)
    return vm.dryRun(message)
  }

  async close(): Promise<void> {
    await this.#vm?.close()
  }

  async #bring(missing: VmImage | Missed | undefined): Promise<RemoteProcess> {
    this.#at = missing?.applied ?? this.#at
    const vm = this.#vm
    if (vm === undefined) {
      this.#vm = await this.#source.open(missing as VmImage, this.place, this.#mayLeave)
      return this.#vm
    }
    if (missing === undefined) return vm
    if ('messages' in missing) await Promise.all(missing.messages.map(message => vm.handle(message)))
    else await vm.reset(missing)
    return vm
  }
}

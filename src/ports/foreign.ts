import type { AbortOptions } from '../lib/abort.ts'
import type { DataItem } from '../protocol/data-item.ts'
import type { Address } from '../protocol/ids.ts'
import type { Scheduler } from './units.ts'

/**
 * The SU of another network, known by the `Url` of its Scheduler-Location. It orders messages and shows its Assignments,
 * whose signatures are checked; its schedule is not read here, and nobody here evaluates it: that is `UNSUPPORTED`.
 */
export interface ForeignScheduler extends Scheduler {
  readonly url: string
  /**
   * Resolves once it has taken the item, which it checks by an RSA or Ethereum signature; the same again is harmless.
   *
   * @throws AoError `PEER_UNREACHABLE` | `OVERLOADED` | `DEADLINE` for what may work later; `INVALID_DATA_ITEM` |
   * `NOT_ALLOWED` | `TOO_LARGE` for what it refuses.
   */
  take(message: DataItem, options?: AbortOptions): Promise<void>
}

export interface ForeignPlace {
  readonly address: Address
  /** Of its HTTP face: `http` or `https`. */
  readonly url: string
  /** Hears when nobody answers there: the location may have been left. */
  readonly onUnreachable?: (() => void) | undefined
}

/** Makes the SU of another network look like one of this. */
export interface ForeignUnits {
  /** @throws AoError `NOT_ALLOWED` for a URL that this node does not go to. */
  scheduler(place: ForeignPlace): ForeignScheduler
}

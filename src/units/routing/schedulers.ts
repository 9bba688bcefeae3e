import { type AbortOptions, throwIfAborted, withDeadline } from '../../lib/abort.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import type { ForeignScheduler } from '../../ports/foreign.ts'
import type { PeerDirectory } from '../../ports/peers.ts'
import type { LocalUnits, RemoteUnits, Scheduler } from '../../ports/units.ts'
import type { Address } from '../../protocol/ids.ts'
import type { UnitRecord } from '../../protocol/unit-record.ts'
import type { ForeignSchedulers } from './foreign-schedulers.ts'

export interface SchedulersDeps {
  readonly local: Pick<LocalUnits, 'address' | 'scheduler'>
  readonly directory: PeerDirectory
  readonly remote: RemoteUnits
  /** SUs of other networks; undefined: only peers are known. */
  readonly foreign?: Pick<ForeignSchedulers, 'known' | 'find'> | undefined
}

type Found = UnitRecord | ForeignScheduler

/** An address → the SU with that name: this node's own, a peer's, or, by its Scheduler-Location, one of another network. */
export class Schedulers {
  readonly #deps: SchedulersDeps
  readonly #timeoutMs: number

  /** @param timeoutMs how long a peer that is not known yet may take to show up. */
  constructor(deps: SchedulersDeps, timeoutMs: number) {
    this.#deps = deps
    this.#timeoutMs = timeoutMs
  }

  /** @throws AoError `PEER_UNREACHABLE` if nobody with that address offers scheduling, here or on Arweave. */
  async at(address: Address, options: AbortOptions = {}): Promise<Scheduler> {
    const { local, remote } = this.#deps
    if (address === local.address && local.scheduler !== undefined) return local.scheduler
    if (address === local.address) throw noScheduler(address, 'Give this node the role SU.')
    const found = await this.#find(address, options)
    if ('url' in found) return found
    if (!found.roles.includes('SU')) throw noScheduler(address, 'The node is there; give it the role SU.')
    return remote.scheduler(found)
  }

  /** If it is one of another network. @throws AoError as `at`. */
  async foreignAt(address: Address, options: AbortOptions = {}): Promise<ForeignScheduler | undefined> {
    if (address === this.#deps.local.address) return undefined
    const found = await this.#find(address, options)
    return 'url' in found ? found : undefined
  }

  async #find(address: Address, options: AbortOptions): Promise<Found> {
    const { directory, foreign } = this.#deps
    const known = directory.get(address) ?? foreign?.known(address)
    if (known !== undefined) return known
    const peer = this.#waitFor(address, options)
    if (foreign === undefined) return peer
    const abroad: Promise<Found> = foreign.find(address, options).then(async found => found ?? peer)
    try {
      return await Promise.any<Found>([peer, abroad])
    } catch (error) {
      const [asPeer, asForeign] = (error as AggregateError).errors
      throw hasCode(asForeign, 'NOT_ALLOWED') ? asForeign : asPeer
    }
  }

  async #waitFor(address: Address, options: AbortOptions): Promise<UnitRecord> {
    try {
      return await this.#deps.directory.waitFor(address, { signal: withDeadline(this.#timeoutMs, options) })
    } catch (cause) {
      throwIfAborted(options.signal)
      const hint = 'Start the node with that address, or check that it reaches this network.'
      throw noScheduler(address, hint, cause)
    }
  }
}

const noScheduler = (scheduler: Address, hint: string, cause?: unknown): AoError =>
  new AoError('PEER_UNREACHABLE', 'the scheduler of this Process is not reachable', { scheduler }, { hint, cause })

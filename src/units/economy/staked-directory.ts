import type { AbortOptions } from '../../lib/abort.ts'
import type { PeerDirectory } from '../../ports/peers.ts'
import type { Address } from '../../protocol/ids.ts'
import type { UnitRecord, UnitRole } from '../../protocol/unit-record.ts'
import type { EconomyFollower } from './follower.ts'

/**
 * A directory that gives no work to who must not have it: units that are jailed or tombstoned, and, where the network
 * asks for stakes, those without one.
 */
export class StakedDirectory implements PeerDirectory {
  readonly #inner: PeerDirectory
  readonly #economy: Pick<EconomyFollower, 'standing' | 'state'>

  constructor(inner: PeerDirectory, economy: Pick<EconomyFollower, 'standing' | 'state'>) {
    this.#inner = inner
    this.#economy = economy
  }

  find(role: UnitRole): readonly UnitRecord[] {
    return this.#inner.find(role).filter(({ address }) => this.#mayServe(role, address))
  }

  get(address: Address): UnitRecord | undefined {
    return this.#inner.get(address)
  }

  all(): readonly UnitRecord[] {
    return this.#inner.all()
  }

  report(address: Address, outcome: 'ok' | 'failed', failure?: unknown): void {
    this.#inner.report(address, outcome, failure)
  }

  waitFor(address: Address, options?: AbortOptions): Promise<UnitRecord> {
    return this.#inner.waitFor(address, options)
  }

  #mayServe(role: UnitRole, address: Address): boolean {
    const standing = this.#economy.standing(role, address)
    if (standing === 'tombstoned' || standing === 'jailed') return false
    return standing === 'active' || this.#economy.state?.params.allowUnstaked !== false
  }
}

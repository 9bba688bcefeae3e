import type { Clock } from '../../lib/clock.ts'
import { AoError } from '../../lib/errors.ts'
import { failpoint } from '../../lib/failpoint.ts'
import { RateLimiter } from '../../lib/rate-limiter.ts'
import type { CrankQueue } from '../../ports/crank-queue.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { Address } from '../../protocol/ids.ts'
import type { MessengerUnitOptions } from './messenger-options.ts'
import { verifyAtDoor } from './verify.ts'

/** What an MU refuses before it asks anybody: bad items, the rest of what one wallet sends, and all when it is full. */
export class Door {
  readonly #queue: CrankQueue
  readonly #options: MessengerUnitOptions
  readonly #wallets: RateLimiter

  constructor({ queue, clock }: { readonly queue: CrankQueue; readonly clock: Clock }, options: MessengerUnitOptions) {
    this.#queue = queue
    this.#options = options
    this.#wallets = new RateLimiter(clock, { ...options.perWallet, maxKeys: 10_000 })
  }

  /** @throws AoError `INVALID_DATA_ITEM` | `TOO_LARGE` | `OVERLOADED` */
  async admit(bytes: Uint8Array): Promise<DataItem> {
    const item = await verifyAtDoor(bytes, { maxBytes: this.#options.maxItemBytes })
    failpoint('mu-verified')
    this.#assertShare(item.owner)
    await this.assertRoom()
    return item
  }

  /** One wallet must not take the place of all. Its signature is verified before, so that nobody uses up another's share. */
  #assertShare(wallet: Address): void {
    if (this.#wallets.take(wallet)) return
    const limit = this.#options.perWallet.perSecond
    const hint = 'Send fewer messages a second, or through several MUs.'
    throw new AoError('OVERLOADED', 'too many messages of one wallet', { wallet, limit }, { hint })
  }

  /** @throws AoError `OVERLOADED` */
  async assertRoom(): Promise<void> {
    const open = await this.#queue.size()
    if (open < this.#options.maxOpenJobs) return
    throw new AoError(
      'OVERLOADED',
      'too many messages are being pushed',
      { open, limit: this.#options.maxOpenJobs },
      { hint: 'Send again later, or through another MU.' },
    )
  }
}

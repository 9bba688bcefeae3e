import { randomBytes } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import type { OwnSession } from '../ports/session.ts'
import type { Session } from '../protocol/unit-record.ts'
import { fromU64, KeySpace, u64 } from './keys.ts'
import { put, type Store } from './store.ts'

const sessionKey = new KeySpace('meta').key(Buffer.from('session'))

/** Takes the next number of the store, on disk before anybody hears of it. */
export async function beginSession(
  store: Store,
  { clock, confirmed }: { readonly clock: Clock; readonly confirmed: boolean },
): Promise<OwnSession> {
  const stored = await store.get(sessionKey)
  const session = new StoredSession(store, clock.now(), confirmed)
  await session.raiseAbove(stored === undefined ? 0 : fromU64(stored))
  return session
}

class StoredSession implements OwnSession {
  readonly #store: Store
  readonly #instance = randomBytes(8).toString('hex')
  readonly startedAt: number
  readonly confirmed: boolean
  #number = 0

  constructor(store: Store, startedAt: number, confirmed: boolean) {
    this.#store = store
    this.startedAt = startedAt
    this.confirmed = confirmed
  }

  get current(): Session {
    return { number: this.#number, instance: this.#instance }
  }

  async raiseAbove(number: number): Promise<void> {
    const next = Math.max(this.#number, number + 1)
    await this.#store.write([put(sessionKey, u64(next))])
    this.#number = next
  }
}

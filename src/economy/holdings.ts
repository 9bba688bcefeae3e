import type { Account } from './account.ts'
import { changeHolder, holderKey, settle, setWeight } from './distribution.ts'
import { minOf } from './quantity.ts'
import type { HeldReport } from './rows.ts'
import type { EconomyState } from './state.ts'

/** Puts a final report into force. The emission has to be up to date. */
export function useReport(state: EconomyState, { resource, deltas, weight }: HeldReport): void {
  for (const { account, quantity } of deltas) setHolding(state, resource, account, quantity)
  if (weight !== undefined) setWeight(state, resource, weight)
}

/** What an oracle says an account holds. Grants beyond that are taken back, the largest first, then by address. */
export function setHolding(state: EconomyState, resource: string, account: Account, own: bigint): void {
  for (;;) {
    const excess = givenBy(state, resource, account) - own
    if (excess <= 0n) break
    const grants = state.grants.get(holderKey(resource, account)) ?? []
    const largest = grants.reduce((a, b) => (b.quantity > a.quantity ? b : a)) // grants are in the order of addresses
    const at = { resource, from: account, to: largest.to }
    setGrant(state, at, largest.quantity - minOf(excess, largest.quantity))
  }
  const given = givenBy(state, resource, account)
  const { received } = settle(state, resource, account)
  changeHolder(state, resource, account, { own, quantity: own - given + received })
}

/** Lets one account earn `quantity` of what another holds. The emission has to be up to date. */
export function setGrant(
  state: EconomyState,
  at: { resource: string; from: Account; to: Account },
  quantity: bigint,
): void {
  const { resource, from, to } = at
  const key = holderKey(resource, from)
  const grants = state.grants.get(key) ?? []
  const change = quantity - (grants.find(grant => grant.to === to)?.quantity ?? 0n)
  const others = grants.filter(grant => grant.to !== to)
  const after = quantity === 0n ? others : [...others, { to, quantity }].sort((a, b) => (a.to < b.to ? -1 : 1))
  if (after.length === 0) state.grants.delete(key)
  else state.grants.set(key, after)
  const giver = settle(state, resource, from)
  changeHolder(state, resource, from, { quantity: giver.quantity - change })
  const taker = settle(state, resource, to)
  changeHolder(state, resource, to, { quantity: taker.quantity + change, received: taker.received + change })
}

/** How much of its own holding an account lets others earn. */
export const givenBy = ({ grants }: EconomyState, resource: string, account: Account): bigint =>
  (grants.get(holderKey(resource, account)) ?? []).reduce((sum, { quantity }) => sum + quantity, 0n)

import { AoError } from '../lib/errors.ts'
import type { Account } from './account.ts'
import { pendingOf, settle } from './distribution.ts'
import { mintedSoFar } from './emission.ts'
import { inAo, type Quantity } from './quantity.ts'
import type { FundsRow } from './rows.ts'
import type { EconomyState } from './state.ts'

export const credit = ({ balances }: EconomyState, account: Account, quantity: Quantity): void => {
  if (quantity > 0n) balances.set(account, (balances.get(account) ?? 0n) + quantity)
}

/** Takes what the account has, earned tokens included. @throws AoError `INSUFFICIENT_BALANCE` */
export function debit(state: EconomyState, account: Account, quantity: Quantity): void {
  if ((state.balances.get(account) ?? 0n) < quantity) claim(state, account)
  const balance = state.balances.get(account) ?? 0n
  if (balance < quantity) {
    const facts = { account, balance: inAo(balance), needed: inAo(quantity) }
    throw new AoError('INSUFFICIENT_BALANCE', 'Insufficient Balance!', facts)
  }
  if (balance === quantity) state.balances.delete(account)
  else state.balances.set(account, balance - quantity)
}

export function transfer(state: EconomyState, from: Account, to: Account, quantity: Quantity): void {
  debit(state, from, quantity)
  credit(state, to, quantity)
}

/** Puts what the account has earned into its balance. Returns how much that was. */
export function claim(state: EconomyState, account: Account): Quantity {
  const before = state.balances.get(account) ?? 0n
  for (const resource of state.resources.keysInOrder()) settle(state, resource, account)
  return (state.balances.get(account) ?? 0n) - before
}

/** What the account could spend now: its balance and what it has earned. */
export function balanceOf(state: EconomyState, account: Account): Quantity {
  let balance = state.balances.get(account) ?? 0n
  for (const [resource] of state.resources.entries()) balance += pendingOf(state, resource, account)
  return balance
}

/** Balance → escrow. */
export function lock(state: EconomyState, account: Account, quantity: Quantity): void {
  debit(state, account, quantity)
  addFunds(state, { escrow: quantity })
}

/** Escrow → balance. */
export function unlock(state: EconomyState, account: Account, quantity: Quantity): void {
  addFunds(state, { escrow: -quantity })
  credit(state, account, quantity)
}

/** Escrow → nobody: half to the accused, the rest burned (F10). */
export function forfeit(state: EconomyState, accused: Account | undefined, bond: Quantity): void {
  const compensation = accused === undefined ? 0n : bond / 2n
  addFunds(state, { escrow: -bond, burned: bond - compensation })
  if (accused !== undefined) credit(state, accused, compensation)
}

export function burn(state: EconomyState, account: Account, quantity: Quantity): void {
  debit(state, account, quantity)
  addFunds(state, { burned: quantity })
}

export const totalSupply = ({ emission, funds }: EconomyState): Quantity =>
  mintedSoFar(emission.value) - funds.value.burned

export function addFunds({ funds }: EconomyState, change: Partial<FundsRow>): void {
  const { value } = funds
  funds.value = {
    escrow: value.escrow + (change.escrow ?? 0n),
    insurance: value.insurance + (change.insurance ?? 0n),
    burned: value.burned + (change.burned ?? 0n),
    slashed: value.slashed + (change.slashed ?? 0n),
  }
}

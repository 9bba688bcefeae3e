import type { EconomyParams } from '../protocol/economy-params.ts'
import { parseAccount } from './account.ts'
import { emptyClass } from './distribution.ts'
import { setHolding } from './holdings.ts'
import { parseQuantity } from './quantity.ts'
import { type EconomyState, emptyState } from './state.ts'

/** The economy before its first event: nobody has a balance, and who earns is what the parameters say. */
export function genesis(params: EconomyParams): EconomyState {
  const state = emptyState(params)
  state.classes.set('ar', emptyClass)
  state.classes.set('bridge', emptyClass)
  const ar = { class: 'ar', resource: 'AR', weight: '1' } as const
  for (const { resource, weight, class: name } of [ar, ...params.holdings]) {
    if (state.resources.has(resource)) continue
    const row = { acc: 0n, lastClassAcc: 0n, quantity: 0n, cycle: 0 }
    state.resources.set(resource, { ...row, class: name, weight: parseQuantity(weight, 'weight') })
  }
  for (const { resource, holder, quantity } of params.holdings) {
    setHolding(state, resource, parseAccount(holder, 'holder'), parseQuantity(quantity))
  }
  return state
}

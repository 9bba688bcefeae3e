import { AoError } from '../lib/errors.ts'
import type { Account } from './account.ts'
import type { Quantity } from './quantity.ts'
import type { Table } from './table.ts'

/** Parts of an armstrong that shares are counted in, so that rounding loses none. */
export const shareScale = 10n ** 36n

/** With a larger total weight the remainder of a drip could be felt: economy.md 1.7, I7. */
const maxTotal = 10n ** 26n

/** Whom new tokens are for: holders of AR, or of bridged assets. */
export type ClassName = 'ar' | 'bridge'

/** `acc`: what one weighted unit has earned since the beginning, scaled. `total`: weight × quantity of all. */
export interface ClassRow {
  readonly acc: bigint
  /** What dividing by the total has left, scaled. */
  readonly rem: bigint
  readonly total: bigint
  /** Waits for the first holder. */
  readonly undistributed: Quantity
  readonly minted: Quantity
}
export const emptyClass: ClassRow = { acc: 0n, rem: 0n, total: 0n, undistributed: 0n, minted: 0n }

export interface ResourceRow {
  readonly class: ClassName
  readonly acc: bigint
  readonly lastClassAcc: bigint
  readonly weight: bigint
  readonly quantity: bigint
  /** Cycle of the last report used. */
  readonly cycle: number
}

/** `quantity` earns; `own` was reported; `received` is what others gave: quantity = own - given + received. */
export interface HolderRow {
  readonly quantity: bigint
  readonly own: bigint
  readonly received: bigint
  readonly last: bigint
  /** Earned parts of an armstrong, below `shareScale`. */
  readonly frac: bigint
}

/** The rows that sharing out touches. */
export interface Pots {
  readonly classes: Table<ClassRow>
  readonly resources: Table<ResourceRow>
  readonly holders: Table<HolderRow>
  readonly balances: Table<Quantity>
}

export const holderKey = (resource: string, account: Account): string => `${resource} ${account}`

/** Shares `amount` among all of the class, whoever they are: one division. */
export function drip(pots: Pots, name: ClassName, amount: Quantity): void {
  const row = pots.classes.get(name) ?? emptyClass
  const minted = row.minted + amount
  const due = amount + row.undistributed
  if (row.total === 0n || due === 0n) {
    pots.classes.set(name, { ...row, minted, undistributed: due })
    return
  }
  const scaled = due * shareScale + row.rem
  const acc = row.acc + scaled / row.total
  pots.classes.set(name, { ...row, minted, undistributed: 0n, acc, rem: scaled % row.total })
}

/** Brings a resource, then one holder of it, up to what the class has earned. The balance grows by whole armstrongs. */
export function settle(pots: Pots, resource: string, account: Account): HolderRow {
  const { acc } = dripResource(pots, resource)
  const key = holderKey(resource, account)
  const row = pots.holders.get(key)
  if (row === undefined) return { quantity: 0n, own: 0n, received: 0n, last: acc, frac: 0n }
  if (row.last === acc) return row
  const earned = (acc - row.last) * row.quantity + row.frac
  const whole = earned / shareScale
  if (whole > 0n) pots.balances.set(account, (pots.balances.get(account) ?? 0n) + whole)
  const settled = { ...row, last: acc, frac: earned % shareScale }
  pots.holders.set(key, settled)
  return settled
}

/** What `settle` would add to the balance now. */
export function pendingOf(pots: Pots, resource: string, account: Account): Quantity {
  const row = pots.holders.get(holderKey(resource, account))
  const at = pots.resources.get(resource)
  if (row === undefined || at === undefined) return 0n
  const { acc } = grown(at, pots.classes.get(at.class) ?? emptyClass)
  return ((acc - row.last) * row.quantity + row.frac) / shareScale
}

/** Gives a settled holder another earning quantity. The emission has to be up to date. @throws AoError `NOT_ALLOWED` */
export function changeHolder(pots: Pots, resource: string, account: Account, change: Partial<HolderRow>): void {
  const before = settle(pots, resource, account)
  const after = { ...before, ...change }
  pots.holders.set(holderKey(resource, account), after)
  changeTotals(pots, resource, { quantity: after.quantity - before.quantity })
}

export function setWeight(pots: Pots, resource: string, weight: bigint): void {
  dripResource(pots, resource)
  changeTotals(pots, resource, { weight })
}

function dripResource(pots: Pots, resource: string): ResourceRow {
  const row = pots.resources.get(resource)
  if (row === undefined) throw new AoError('INVALID_ARGUMENT', 'there is no such resource', { resource })
  const after = grown(row, pots.classes.get(row.class) ?? emptyClass)
  if (after !== row) pots.resources.set(resource, after)
  return after
}

const grown = (row: ResourceRow, { acc }: ClassRow): ResourceRow =>
  row.lastClassAcc === acc ? row : { ...row, acc: row.acc + (acc - row.lastClassAcc) * row.weight, lastClassAcc: acc }

function changeTotals(pots: Pots, resource: string, change: { quantity?: bigint; weight?: bigint }): void {
  const row = dripResource(pots, resource)
  const pot = pots.classes.get(row.class) ?? emptyClass
  const after = { ...row, quantity: row.quantity + (change.quantity ?? 0n), weight: change.weight ?? row.weight }
  const total = pot.total + after.weight * after.quantity - row.weight * row.quantity
  if (total > maxTotal) throw new AoError('NOT_ALLOWED', 'the class holds more than can be shared out exactly')
  pots.resources.set(resource, after)
  pots.classes.set(row.class, { ...pot, total })
}

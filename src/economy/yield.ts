import { AoError } from '../lib/errors.ts'
import type { Account } from './account.ts'
import { holderKey, settle } from './distribution.ts'
import { givenBy, setGrant } from './holdings.ts'
import { mintUpToNow } from './mint.ts'
import { minOf } from './quantity.ts'
import type { EconomyState } from './state.ts'

/** Of one holder and resource: what bounds the work of one report. */
const maxGrants = 32

/**
 * Gives the yield of `quantity` of the giver's own holding to another. Received yield cannot be passed on, so that
 * taking it back touches two records and no ring can form.
 *
 * @returns what the recipient now has from the giver.
 * @throws AoError `INSUFFICIENT_BALANCE` | `NOT_ALLOWED` | `NOT_READY`
 */
export function grantYield(
  state: EconomyState,
  at: { resource: string; from: Account; to: Account; quantity: bigint },
): bigint {
  mintUpToNow(state)
  const { resource, from, to, quantity } = at
  if (from === to) throw new AoError('INVALID_ARGUMENT', 'the yield is the giver’s already')
  const giver = settle(state, resource, from)
  const grants = state.grants.get(holderKey(resource, from)) ?? []
  if (quantity > giver.own - givenBy(state, resource, from)) {
    throw new AoError('INSUFFICIENT_BALANCE', 'the giver holds less of its own than that', { own: String(giver.own) })
  }
  const given = grants.find(grant => grant.to === to)?.quantity ?? 0n
  if (given === 0n && grants.length >= maxGrants) throw new AoError('NOT_ALLOWED', 'too many recipients', { maxGrants })
  setGrant(state, at, given + quantity)
  return given + quantity
}

/** Takes back as much of the yield as was given, at most `quantity`. @returns what the recipient keeps. */
export function revokeYield(
  state: EconomyState,
  at: { resource: string; from: Account; to: Account; quantity: bigint },
): bigint {
  mintUpToNow(state)
  const given = state.grants.get(holderKey(at.resource, at.from))?.find(grant => grant.to === at.to)?.quantity ?? 0n
  if (given === 0n) throw new AoError('NOT_ALLOWED', 'nothing was given to that account')
  const left = given - minOf(given, at.quantity)
  setGrant(state, at, left)
  return left
}

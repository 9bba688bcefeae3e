import { parseAccount } from '../../economy/account.ts'
import { operatorOf } from '../../economy/operators.ts'
import { formatAo, parsePositive, type Quantity } from '../../economy/quantity.ts'
import { AoError } from '../../lib/errors.ts'
import { type Address, parseAddress } from '../../protocol/ids.ts'
import { tagValue } from '../../protocol/tags.ts'
import type { UnitRole } from '../../protocol/unit-record.ts'
import type { Action, Call } from './action.ts'
import { addressOf, need, roleOf, wholeNumber } from './message.ts'

/** Actions on stakes: economy.md 2.4. */
export const stakeActions: Readonly<Record<string, Action>> = {
  Stake: call => bond(call, roleOf(call.request), addressOf(call.request, 'Operator'), quantityOf(call)),
  Unstake: unbond,
  Withdraw: withdraw,
  'Register-Operator': register,
  Unjail: unjail,
}

/** For wallets that only know tokens: a transfer to this Process itself, with what it is for. */
export function stakeByTransfer(call: Call, quantity: Quantity): void {
  const { tags } = call.request
  if (tagValue(tags, 'X-Action') !== 'Stake') {
    throw new AoError('INVALID_ARGUMENT', 'tokens sent to AO-Sec Origin need X-Action=Stake, X-Role and X-Operator')
  }
  const operator = parseAddress(tagValue(tags, 'X-Operator'), 'X-Operator')
  bond(call, roleOf(call.request, 'X-Role'), operator, quantity)
}

function bond(call: Call, role: UnitRole, operator: Address, tokens: Quantity): void {
  const { shares } = call.apply({ type: 'stake', role, operator, holder: call.request.from, tokens })
  const fields = { Role: role, Operator: operator, Quantity: String(tokens), Shares: shares }
  call.reply('Stake-Notice', fields, `${formatAo(tokens)} AO are bonded to ${role} ${operator}`)
}

function unbond(call: Call): void {
  const [role, operator] = [roleOf(call.request), addressOf(call.request, 'Operator')]
  const shares = parsePositive(tagValue(call.request.tags, 'Shares'), 'Shares')
  const { release } = call.apply({ type: 'unstake', role, operator, holder: call.request.from, shares })
  call.reply('Unstake-Notice', { Role: role, Operator: operator, Shares: String(shares), 'Release-Height': release })
}

function withdraw(call: Call): void {
  const { quantity } = call.apply({ type: 'withdraw', account: call.request.from })
  call.reply('Withdraw-Notice', { Quantity: quantity })
}

/** Sent by the unit's own key, which so agrees to who owns its stake. */
function register(call: Call): void {
  const { request } = call
  const role = roleOf(request)
  const operator = parseAddress(request.from, 'From')
  const before = operatorOf(call.state, role, operator)
  call.apply({
    type: 'register',
    role,
    operator,
    owner: parseAccount(tagValue(request.tags, 'Owner-Account') ?? request.from, 'Owner-Account'),
    peer: (tagValue(request.tags, 'Peer-Id') ?? '').slice(0, 128),
    urls: (tagValue(request.tags, 'Urls') ?? '').slice(0, 512),
    commissionBps: wholeNumber(request, 'Commission') ?? before?.nextCommission?.bps ?? before?.commissionBps ?? 0,
  })
  call.reply('Register-Notice', { Role: role, Operator: operator })
}

function unjail(call: Call): void {
  const role = roleOf(call.request)
  const operator = parseAddress(tagValue(call.request.tags, 'Operator') ?? call.request.from, 'Operator')
  call.apply({ type: 'unjail', role, operator, sender: call.request.from })
  call.reply('Unjail-Notice', { Role: role, Operator: operator })
}

const quantityOf = ({ request }: Call): Quantity => parsePositive(need(request, 'Quantity'))

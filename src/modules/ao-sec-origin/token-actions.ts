import { parseAccount } from '../../economy/account.ts'
import { formatAo, parsePositive, parseQuantity } from '../../economy/quantity.ts'
import { AoError } from '../../lib/errors.ts'
import { tagValue } from '../../protocol/tags.ts'
import type { Action, Call } from './action.ts'
import { need } from './message.ts'
import { stakeByTransfer } from './stake-actions.ts'

/** Actions and notices of the AO token: economy.md 1.6. */
export const tokenActions: Readonly<Record<string, Action>> = {
  Transfer: transfer,
  Mint: mint,
  Burn: burn,
  Claim: claim,
  Delegate: delegate,
  Undelegate: undelegate,
  'Oracle-Report': oracleReport,
  'Header-Report': headerReport,
}

function transfer(call: Call): void {
  const { request, out } = call
  const to = parseAccount(tagValue(request.tags, 'Recipient'))
  const quantity = parsePositive(tagValue(request.tags, 'Quantity'))
  if (to === request.self) {
    stakeByTransfer(call, quantity)
    return
  }
  call.apply({ type: 'transfer', from: request.from, to, quantity })
  if (tagValue(request.tags, 'Cast') !== undefined) return
  const forward = request.tags.filter(({ name }) => name.startsWith('X-'))
  const amount = { Quantity: String(quantity) }
  const sent = `You transferred ${formatAo(quantity)} AO to ${to}`
  const got = `You received ${formatAo(quantity)} AO from ${request.from}`
  out.send(request.from, 'Debit-Notice', { Recipient: to, ...amount }, { data: sent, forward })
  out.send(to, 'Credit-Notice', { Sender: request.from, ...amount }, { data: got, forward })
}

/** Anybody may: the amount is not the caller's to say. */
function mint(call: Call): void {
  if (tagValue(call.request.tags, 'Quantity') !== undefined) {
    throw new AoError('INVALID_ARGUMENT', 'Mint takes no Quantity: the schedule says how much')
  }
  const { fromCycle, toCycle, quantity } = call.apply({ type: 'mint' })
  call.reply('Mint-Notice', { 'From-Cycle': fromCycle, 'To-Cycle': toCycle, Quantity: quantity })
}

function burn(call: Call): void {
  const quantity = parsePositive(tagValue(call.request.tags, 'Quantity'))
  call.apply({ type: 'burn', account: call.request.from, quantity })
  call.reply('Burn-Notice', { Quantity: String(quantity) })
}

function claim(call: Call): void {
  const { quantity } = call.apply({ type: 'claim', account: call.request.from })
  call.reply('Claim-Notice', { Quantity: quantity })
}

function delegate(call: Call): void {
  const { resource, to, quantity } = yieldOf(call)
  const value = call.apply({ type: 'grant', resource, from: call.request.from, to, quantity })
  tellDelegation(call, resource, to, value['quantity'])
}

function undelegate(call: Call): void {
  const { resource, to, quantity } = yieldOf(call)
  const value = call.apply({ type: 'revoke', resource, from: call.request.from, to, quantity })
  tellDelegation(call, resource, to, value['quantity'])
}

function yieldOf({ request }: Call): { resource: string; to: string; quantity: bigint } {
  return {
    resource: parseAccount(tagValue(request.tags, 'Resource') ?? 'AR', 'Resource'),
    to: parseAccount(tagValue(request.tags, 'Recipient')),
    quantity: parsePositive(tagValue(request.tags, 'Quantity')),
  }
}

/** The recipient learns the new total; `0` when all was taken back. */
function tellDelegation(call: Call, resource: string, to: string, total: string | undefined): void {
  const fields = { Resource: resource, Delegator: call.request.from, Recipient: to, Quantity: total }
  call.out.send(to, 'Delegation-Notice', fields)
  call.reply('Delegation-Notice', fields)
}

/** Data: `{ "deltas": [[account, quantity], …] }`. */
function oracleReport(call: Call): void {
  const { request } = call
  const weight = tagValue(request.tags, 'Weight')
  const report = {
    resource: parseAccount(need(request, 'Resource'), 'Resource'),
    cycle: Number(parseQuantity(need(request, 'Cycle'), 'Cycle')),
    total: parseQuantity(need(request, 'Total'), 'Total'),
    deltas: deltasOf(request.data),
    weight: weight === undefined ? undefined : parseQuantity(weight, 'Weight'),
  }
  const { final } = call.apply({ type: 'report', reporter: request.from, report })
  call.reply('Report-Notice', { Resource: report.resource, Cycle: String(report.cycle), Final: final })
}

function headerReport(call: Call): void {
  const { request } = call
  const height = Number(parseQuantity(need(request, 'Height'), 'Height'))
  const { final } = call.apply({
    type: 'header',
    reporter: request.from,
    height,
    hash: need(request, 'Hash').slice(0, 128),
  })
  call.reply('Report-Notice', { Height: String(height), Final: final })
}

function deltasOf(text: string): readonly { account: string; quantity: bigint }[] {
  const { deltas } = parseObject(text)
  if (!Array.isArray(deltas)) throw new AoError('INVALID_ARGUMENT', 'Data has no list named deltas')
  return deltas.map(entry => {
    const [account, quantity] = Array.isArray(entry) ? (entry as unknown[]) : []
    return { account: parseAccount(String(account), 'account'), quantity: parseQuantity(String(quantity), 'quantity') }
  })
}

/** The engine words its own complaint about bad JSON differently from version to version: ours is the same everywhere. */
function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>
  } catch {}
  throw new AoError('INVALID_ARGUMENT', 'Data is not a JSON object')
}

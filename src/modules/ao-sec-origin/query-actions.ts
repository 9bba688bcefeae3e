import { cycleAt, mintedSoFar, supplyCap } from '../../economy/emission.ts'
import { balanceOf, totalSupply } from '../../economy/ledger.ts'
import { standingOf } from '../../economy/operators.ts'
import { liveShares, poolOf, stakeOf } from '../../economy/pools.ts'
import { commissionOf } from '../../economy/rewards.ts'
import type { OperatorRow } from '../../economy/rows.ts'
import { stateHash } from '../../economy/state.ts'
import type { Table } from '../../economy/table.ts'
import { worthOf } from '../../economy/unbonding.ts'
import { canonicalJson } from '../../lib/json.ts'
import { tagValue } from '../../protocol/tags.ts'
import type { Action, Call } from './action.ts'
import { need, wholeNumber } from './message.ts'

/** Questions. They change nothing, so a dry-run answers them as well as a message does. */
export const queryActions: Readonly<Record<string, Action>> = {
  Info: info,
  Balance: balance,
  Balances: balances,
  'Total-Supply': call => answer(call, 'Total-Supply', { Ticker: ticker }, String(totalSupply(call.state))),
  Operators: call =>
    answer(call, 'Operators', {}, json(page(call, call.state.operators, row => operatorJson(call, row)))),
  Operator: operator,
  Stakes: stakes,
  Slashes: slashes,
  Challenges: call => answer(call, 'Challenges', {}, json(page(call, call.state.challenges, row => row))),
  Host: host,
  Hosts: call => answer(call, 'Hosts', {}, json(page(call, call.state.hosts, row => row))),
  Params: call => answer(call, 'Params', {}, canonicalJson(call.state.params)),
  'State-Hash': call => answer(call, 'State-Hash', {}, stateHash(call.state)),
}

const ticker = 'AO'
const maxPage = 1000

function info(call: Call): void {
  const { state } = call
  const { cycle } = state.emission.value
  const { burned, insurance, slashed } = state.funds.value
  const fields = {
    Name: 'AO',
    Ticker: ticker,
    Logo: '',
    Denomination: '12',
    Supply: String(totalSupply(state)),
    Cap: String(supplyCap),
    Minted: String(mintedSoFar(state.emission.value)),
    Burned: String(burned),
    Cycle: String(cycle),
    'Cycles-Behind': String(cycleAt(state.params.emission, state.clock.value.timestamp) - cycle),
    Insurance: String(insurance),
    Slashed: String(slashed),
    Height: String(state.clock.value.height),
  }
  answer(call, 'Info', fields, json(fields))
}

function balance(call: Call): void {
  const { tags, from } = call.request
  const account = tagValue(tags, 'Recipient') ?? tagValue(tags, 'Target') ?? from
  const quantity = String(balanceOf(call.state, account))
  answer(call, 'Balance', { Balance: quantity, Ticker: ticker, Account: account }, quantity)
}

function balances(call: Call): void {
  answer(call, 'Balances', { Ticker: ticker }, json(Object.fromEntries(page(call, call.state.balances, String))))
}

function operator(call: Call): void {
  const [role, unit] = [need(call.request, 'Role'), need(call.request, 'Operator')]
  const row = call.state.operators.get(`${role} ${unit}`)
  answer(call, 'Operator', {}, json(row === undefined ? {} : operatorJson(call, row)))
}

const operatorJson = ({ state }: Call, row: OperatorRow) => {
  const { role, operator: unit } = row
  const pool = poolOf(state, role, unit)
  return {
    ...row,
    commissionBps: commissionOf(state, row),
    standing: standingOf(state, role, unit),
    /** Height from which its stake counts. */
    activeAt: row.activeFrom === undefined ? undefined : row.activeFrom * state.params.periodBlocks,
    tokens: pool.tokens,
    self: stakeOf(state, role, unit, row.owner),
  }
}

/** What an account has bonded and what is on its way back. */
function stakes(call: Call): void {
  const { state, request } = call
  const account = tagValue(request.tags, 'Recipient') ?? request.from
  const bonded = [...state.operators.entries()].flatMap(([key, { role, operator: unit }]) => {
    const shares = liveShares(poolOf(state, role, unit), state.stakes.get(`${key} ${account}`))
    return shares === 0n ? [] : [{ role, operator: unit, shares, tokens: stakeOf(state, role, unit, account) }]
  })
  const entries = state.unbondings.get(account) ?? []
  const unbonding = entries.map(entry => ({ ...entry, tokens: worthOf(state, entry) }))
  answer(call, 'Stakes', {}, json({ account, bonded, unbonding }))
}

function slashes(call: Call): void {
  const offences = page(call, call.state.offences, row => row)
  const verdicts = page(call, call.state.verdicts, row => row)
  const { insurance, burned, slashed } = call.state.funds.value
  answer(call, 'Slashes', {}, json({ offences, verdicts, insurance, burned, slashed }))
}

function host(call: Call): void {
  const process = need(call.request, 'Process')
  answer(call, 'Host', { Process: process }, json(call.state.hosts.get(process) ?? {}))
}

/** `Cursor` rows are passed over, `Limit` of them given, in the order in which they came to be. */
function page<V>(call: Call, table: Table<V>, of: (row: V) => unknown): readonly (readonly [string, unknown])[] {
  const from = wholeNumber(call.request, 'Cursor') ?? 0
  const limit = Math.min(maxPage, wholeNumber(call.request, 'Limit') ?? 100)
  const found: (readonly [string, unknown])[] = []
  let at = 0
  for (const [key, row] of table.entries()) {
    if (at >= from + limit) break
    if (at >= from) found.push([key, of(row)])
    at++
  }
  return found
}

function answer(call: Call, action: string, fields: Readonly<Record<string, string>>, data: string): void {
  call.reply(action, fields, data)
  call.out.output = data
}

const json = (value: unknown): string => canonicalJson(plain(value))

/** Amounts as decimal text. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]))
}

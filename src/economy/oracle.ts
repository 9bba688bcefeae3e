import { sha256, toBase64Url, utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import { canonicalJson } from '../lib/json.ts'
import type { Account } from './account.ts'
import { useReport } from './holdings.ts'
import { mintUpToNow } from './mint.ts'
import { basisPoints } from './quantity.ts'
import type { HeldReport, ReportDelta } from './rows.ts'
import type { EconomyState } from './state.ts'

/** Who holds how much of a resource now, as far as it changed since the last report. */
export interface OracleReport {
  readonly resource: string
  /** Cycle of the emission that the report speaks of: strictly increasing. */
  readonly cycle: number
  /** Of the resource after the changes. */
  readonly total: bigint
  readonly deltas: readonly ReportDelta[]
  /** Of one unit of a bridged asset; absent where it stays. */
  readonly weight?: bigint | undefined
}

/** What one report may change: bounds the gas of the message that makes it final. */
export const maxDeltas = 200

/**
 * Counts one reporter's word. With more than two thirds of the distinct reporters the report is used; a large change
 * waits `changeDelayCycles` first.
 *
 * @returns whether the report is final now.
 * @throws AoError `NOT_ALLOWED` | `INVALID_ARGUMENT` | `NOT_READY`
 */
export function report(state: EconomyState, reporter: Account, said: OracleReport): boolean {
  checkReporter(state, reporter)
  const row = state.resources.get(said.resource)
  if (row === undefined) throw new AoError('INVALID_ARGUMENT', 'there is no such resource', { resource: said.resource })
  if (said.cycle <= row.cycle)
    throw new AoError('NOT_ALLOWED', 'a later report is final already', { cycle: said.cycle })
  if (state.heldReports.has(said.resource)) {
    throw new AoError('NOT_READY', 'a large change waits to be used', { resource: said.resource })
  }
  if (said.deltas.length > maxDeltas) throw new AoError('TOO_LARGE', 'too many changes in one report', { maxDeltas })
  const text = canonicalJson({
    ...said,
    total: String(said.total),
    weight: said.weight === undefined ? undefined : String(said.weight),
    deltas: said.deltas.map(({ account, quantity }) => [account, String(quantity)]),
  })
  if (!vote(state, `${said.resource} ${said.cycle}`, reporter, toBase64Url(sha256(utf8(text))))) return false
  mintUpToNow(state)
  const { resource, cycle, deltas, weight } = said
  checkTotal(state, said)
  const limit = (row.quantity * BigInt(state.params.oracle.changeLimitBps)) / basisPoints
  const change = said.total > row.quantity ? said.total - row.quantity : row.quantity - said.total
  state.resources.set(resource, { ...(state.resources.get(resource) ?? row), cycle })
  const held: HeldReport = { resource, cycle, deltas, weight }
  if (row.quantity > 0n && change > limit) state.heldReports.set(resource, held)
  else useReport(state, held)
  return true
}

/** One reporter's word about the block at a height: what a false anchor (F9) is judged by. */
export function reportHeader(state: EconomyState, reporter: Account, at: { height: number; hash: string }): boolean {
  checkReporter(state, reporter)
  const { height, hash } = at
  if (state.headers.has(String(height))) throw new AoError('NOT_ALLOWED', 'the block is final already', { height })
  if (height > state.clock.value.height) throw new AoError('INVALID_ARGUMENT', 'the block is not there yet', { height })
  if (!vote(state, `header ${height}`, reporter, hash)) return false
  state.headers.set(String(height), hash)
  const oldest = state.clock.value.height - state.params.oracle.headerBlocks
  if (state.headers.size > state.params.oracle.headerBlocks) {
    for (const [key] of [...state.headers.entries()]) if (Number(key) < oldest) state.headers.delete(key)
  }
  return true
}

/** @returns whether that makes more than two thirds. Each reporter has one word on each subject. */
function vote(state: EconomyState, subject: string, reporter: Account, digest: string): boolean {
  const all = state.params.oracle.reporters
  for (const other of all) {
    const said = state.votes.get(`${subject} ${other}`)
    if (other === reporter && said !== undefined) {
      throw new AoError('NOT_ALLOWED', 'the reporter has had its word on that', { subject })
    }
  }
  state.votes.set(`${subject} ${reporter}`, { digest })
  const agreeing = all.filter(other => state.votes.get(`${subject} ${other}`)?.digest === digest)
  if (agreeing.length < Math.floor((2 * all.length) / 3) + 1) return false
  for (const other of all) state.votes.delete(`${subject} ${other}`)
  return true
}

function checkReporter({ params }: EconomyState, reporter: Account): void {
  if (!params.oracle.reporters.includes(reporter)) {
    throw new AoError('NOT_ALLOWED', 'only the network’s reporters may report', { reporter })
  }
}

/** The sum has to be right before anything is used, or a report could make holdings out of nothing. */
function checkTotal(state: EconomyState, { resource, deltas, total }: OracleReport): void {
  let sum = state.resources.get(resource)?.quantity ?? 0n
  const seen = new Set<Account>()
  for (const { account, quantity } of deltas) {
    if (seen.has(account)) throw new AoError('INVALID_ARGUMENT', 'an account is named twice', { account })
    seen.add(account)
    sum += quantity - (state.holders.get(`${resource} ${account}`)?.own ?? 0n)
  }
  if (sum !== total) {
    throw new AoError('INVALID_ARGUMENT', 'Total is not the sum after the changes', {
      total: String(total),
      sum: String(sum),
    })
  }
}

import { sha256, toBase64Url, utf8 } from '../lib/bytes.ts'
import { AoError } from '../lib/errors.ts'
import { canonicalJson } from '../lib/json.ts'
import type { Account } from './account.ts'
import { cycleAt } from './emission.ts'
import { useReport } from './holdings.ts'
import { mintUpToNow } from './mint.ts'
import { basisPoints } from './quantity.ts'
import type { HeldReport, ReportDelta, ReportVotes } from './rows.ts'
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
  const now = cycleAt(state.params.emission, state.clock.value.timestamp)
  if (said.cycle > now) throw new AoError('INVALID_ARGUMENT', 'that cycle is not there yet', { cycle: said.cycle, now })
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
  const word = { cycle: said.cycle, digest: toBase64Url(sha256(utf8(text))) }
  if (!vote(state, said.resource, reporter, word)) return false
  mintUpToNow(state)
  const { resource, cycle, deltas, weight } = said
  checkTotal(state, said)
  const { changeLimitBps, changeDelayCycles } = state.params.oracle
  const limit = (row.quantity * BigInt(changeLimitBps)) / basisPoints
  const change = said.total > row.quantity ? said.total - row.quantity : row.quantity - said.total
  state.resources.set(resource, { ...(state.resources.get(resource) ?? row), cycle })
  const held: HeldReport = { resource, cycle, deltas, weight }
  if (row.quantity > 0n && change > limit && changeDelayCycles > 0) state.heldReports.set(resource, held)
  else useReport(state, held)
  return true
}

/** The block at a height as the reporters know it; undefined if there is no final report of it (any more). */
export function headerAt(state: EconomyState, height: number): string | undefined {
  const row = state.headers.get(slotOf(state, height))
  return row?.height === height ? row.hash : undefined
}

/** One reporter's word about the block at a height: what a false anchor (F9) is judged by. */
export function reportHeader(state: EconomyState, reporter: Account, at: { height: number; hash: string }): boolean {
  checkReporter(state, reporter)
  const { height, hash } = at
  const newest = state.clock.value.height
  const oldest = newest - state.params.oracle.headerBlocks + 1
  if (height > newest) throw new AoError('INVALID_ARGUMENT', 'the block is not there yet', { height })
  if (height < oldest) throw new AoError('NOT_ALLOWED', 'the block is too old', { height, oldest })
  const slot = slotOf(state, height)
  if ((state.headers.get(slot)?.height ?? 0) >= height)
    throw new AoError('NOT_ALLOWED', 'the block is final already', { height })
  if (!vote(state, `header ${slot}`, reporter, { cycle: height, digest: hash })) return false
  state.headers.set(slot, { height, hash })
  return true
}

/** A block takes the place of the one `headerBlocks` before it, so that there is never more than one round of them. */
const slotOf = ({ params }: EconomyState, height: number): string => String(height % params.oracle.headerBlocks)

/**
 * Each reporter has one word on a subject and cycle, and none on an earlier cycle after that: so there is never more than
 * one row of each.
 *
 * @returns whether that makes more than two thirds.
 */
function vote(state: EconomyState, subject: string, reporter: Account, word: ReportVotes): boolean {
  const all = state.params.oracle.reporters
  const said = state.votes.get(`${subject} ${reporter}`)
  if (said !== undefined && said.cycle >= word.cycle)
    throw new AoError('NOT_ALLOWED', 'the reporter has had its word on that', { subject, cycle: said.cycle })
  state.votes.set(`${subject} ${reporter}`, word)
  const agrees = (other: Account): boolean => {
    const { cycle, digest } = state.votes.get(`${subject} ${other}`) ?? { cycle: -1, digest: '' }
    return cycle === word.cycle && digest === word.digest
  }
  if (all.filter(agrees).length < Math.floor((2 * all.length) / 3) + 1) return false
  for (const other of all) {
    if ((state.votes.get(`${subject} ${other}`)?.cycle ?? 0) <= word.cycle) state.votes.delete(`${subject} ${other}`)
  }
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

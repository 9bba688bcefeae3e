import { AoError } from '../lib/errors.ts'
import type { Address, ProcessId } from '../protocol/ids.ts'
import type { UnitRole } from '../protocol/unit-record.ts'
import type { Account } from './account.ts'
import { takeDue } from './agenda.ts'
import {
  answerChallenge,
  type ChallengeRequest,
  expireChallenge,
  openChallenge,
  passOnChallenge,
} from './challenges.ts'
import { commitEvidence, expireCommit, openCommit } from './commits.ts'
import { type BidProof, bid, closeBidding, forkKey, hostedSince, hostReady, settleBidBond, unhost } from './hosts.ts'
import { burn, claim, transfer } from './ledger.ts'
import { mint } from './mint.ts'
import { type Registration, registerOperator, stake, unjail, unstake } from './operators.ts'
import { type OracleReport, report, reportHeader } from './oracle.ts'
import { type FaultKind, faultRules } from './penalties.ts'
import type { Quantity } from './quantity.ts'
import type { AgendaRow, ForkRow } from './rows.ts'
import { type Conviction, convict, executeSlash, type SlashSplit } from './slashing.ts'
import type { EconomyState } from './state.ts'
import { withdraw } from './unbonding.ts'
import { grantYield, revokeYield } from './yield.ts'

/** Where on Arweave an event stands: the anchor of its Assignment. */
export interface At {
  readonly height: number
  /** Block timestamp, milliseconds. */
  readonly timestamp: number
}

/** What the verifier made of submitted items. Rejected: the bond goes to `accused`, if it can be read, and burns. */
export type EvidenceVerdict =
  | (Pick<Conviction, 'kind' | 'role' | 'operator' | 'process'> & {
      readonly guilty: true
      readonly epoch: number
      /** Where an SU signed twice: which of the two counts from now on. */
      readonly fork?: ForkRow | undefined
    })
  | { readonly guilty: false; readonly accused: Account | undefined }

/** Everything that can happen. Signatures have been checked: these are facts about who asked for what. */
export type EconomyEvent =
  | { readonly type: 'tick' }
  | { readonly type: 'mint' }
  | { readonly type: 'claim'; readonly account: Account }
  | { readonly type: 'transfer'; readonly from: Account; readonly to: Account; readonly quantity: Quantity }
  | { readonly type: 'burn'; readonly account: Account; readonly quantity: Quantity }
  | ({ readonly type: 'grant' | 'revoke' } & Readonly<Record<'resource' | 'from' | 'to', Account>> & {
        readonly quantity: bigint
      })
  | ({ readonly type: 'stake' } & Readonly<Parameters<typeof stake>[1]>)
  | ({ readonly type: 'unstake' } & Readonly<Parameters<typeof unstake>[1]>)
  | { readonly type: 'withdraw'; readonly account: Account }
  | ({ readonly type: 'register' } & Registration)
  | { readonly type: 'unjail'; readonly role: UnitRole; readonly operator: Address; readonly sender: Account }
  | { readonly type: 'commit'; readonly reporter: Account; readonly commitment: string }
  | {
      readonly type: 'evidence'
      readonly reporter: Account
      readonly digest: string
      readonly salt: string
      readonly verdict: EvidenceVerdict
    }
  | { readonly type: 'challenge'; readonly id: string; readonly request: ChallengeRequest }
  | { readonly type: 'respond'; readonly id: string }
  | ({ readonly type: 'pass-on' } & Readonly<Parameters<typeof passOnChallenge>[1]>)
  | { readonly type: 'host-ready'; readonly process: ProcessId; readonly scheduler: Address }
  | ({ readonly type: 'bid' } & { process: ProcessId; bidder: Address; account: Account; proof: BidProof })
  | { readonly type: 'report'; readonly reporter: Account; readonly report: OracleReport }
  | { readonly type: 'header'; readonly reporter: Account; readonly height: number; readonly hash: string }

/** What an event brought about, of its own or because its time had come, in that order. */
export type Happening =
  | { readonly type: 'slashed'; readonly split: SlashSplit }
  | { readonly type: 'convicted'; readonly role: UnitRole; readonly operator: Address; readonly kind: FaultKind }
  | { readonly type: 'acquitted'; readonly reporter: Account }
  | { readonly type: 'unhosted'; readonly process: ProcessId }
  | { readonly type: 'hosted'; readonly process: ProcessId; readonly scheduler: Address; readonly epoch: number }
  | { readonly type: 'answered'; readonly id: string; readonly challenger: Account }
  | { readonly type: 'done'; readonly event: EconomyEvent['type']; readonly value: Readonly<Record<string, string>> }

/**
 * Applies one event, after what its height makes due. A refused event changes nothing at all, not even the clock.
 *
 * @throws AoError with a code of this folder's functions.
 */
export function applyEvent(state: EconomyState, at: At, event: EconomyEvent): readonly Happening[] {
  return state.journal.transact(() => {
    const { height, timestamp } = state.clock.value
    state.clock.value = { height: Math.max(height, at.height), timestamp: Math.max(timestamp, at.timestamp) }
    const due = takeDue(state).flatMap(row => happen(state, row))
    return [...due, ...reduce(state, event)]
  })
}

function happen(state: EconomyState, { kind, key }: AgendaRow): readonly Happening[] {
  switch (kind) {
    case 'slash':
      return executeSlash(state, key).map(split => ({ type: 'slashed', split }))
    case 'commit':
      expireCommit(state, key)
      return []
    case 'activity':
      return [] // the clock has moved, and that is all
    case 'bid-bond': {
      const process = settleBidBond(state, key)
      return process === undefined ? [] : [{ type: 'unhosted', process }]
    }
    case 'challenge': {
      const row = expireChallenge(state, key)
      if (row === undefined) return []
      if (!state.verdicts.has(`challenge ${key}`)) return [{ type: 'unhosted', process: row.process }]
      const convicted: Happening = { type: 'convicted', role: row.role, operator: row.accused, kind: row.kind }
      return row.role === 'SU' ? [convicted, { type: 'unhosted', process: row.process }] : [convicted]
    }
    case 'bidding': {
      const process = key as ProcessId
      const row = closeBidding(state, process) ? state.hosts.get(process) : undefined
      return row === undefined ? [] : [{ type: 'hosted', process, scheduler: row.scheduler, epoch: row.epoch }]
    }
  }
}

function reduce(state: EconomyState, event: EconomyEvent): readonly Happening[] {
  switch (event.type) {
    case 'tick':
      return []
    case 'mint': {
      const { fromCycle, toCycle, quantity } = mint(state)
      return done(event, { fromCycle, toCycle, quantity })
    }
    case 'claim':
      return done(event, { quantity: claim(state, event.account) })
    case 'transfer':
      transfer(state, event.from, event.to, event.quantity)
      return done(event)
    case 'burn':
      burn(state, event.account, event.quantity)
      return done(event)
    case 'grant':
      return done(event, { quantity: grantYield(state, event) })
    case 'revoke':
      return done(event, { quantity: revokeYield(state, event) })
    case 'report':
      return done(event, { final: report(state, event.reporter, event.report) })
    case 'header':
      return done(event, { final: reportHeader(state, event.reporter, event) })
    default:
      return reduceStakes(state, event)
  }
}

type TokenEvent = 'tick' | 'mint' | 'claim' | 'transfer' | 'burn' | 'grant' | 'revoke' | 'report' | 'header'

function reduceStakes(state: EconomyState, event: Exclude<EconomyEvent, { type: TokenEvent }>): readonly Happening[] {
  switch (event.type) {
    case 'stake':
      return done(event, { shares: stake(state, event) })
    case 'unstake': {
      const { release } = unstake(state, event)
      return done(event, { release })
    }
    case 'withdraw':
      return done(event, { quantity: withdraw(state, event.account) })
    case 'register':
      registerOperator(state, event)
      return done(event)
    case 'unjail':
      unjail(state, event.role, event.operator, event.sender)
      return done(event)
    case 'commit':
      commitEvidence(state, event.reporter, event.commitment)
      return done(event)
    case 'evidence':
      return judge(state, event)
    case 'challenge': {
      const { dueAt } = openChallenge(state, event.id, event.request)
      return done(event, { dueAt })
    }
    case 'respond': {
      const { challenger } = answerChallenge(state, event.id)
      return [{ type: 'answered', id: event.id, challenger }]
    }
    case 'pass-on': {
      const { challenger } = passOnChallenge(state, event)
      return [{ type: 'answered', id: event.id, challenger }]
    }
    case 'bid':
      bid(state, event)
      return done(event)
    case 'host-ready':
      hostReady(state, event.process, event.scheduler)
      return done(event)
  }
}

/** A rejected accusation costs the bond (F10); a proven one gives it back and convicts. */
function judge(state: EconomyState, event: Extract<EconomyEvent, { type: 'evidence' }>): readonly Happening[] {
  const { reporter, digest, salt, verdict } = event
  if (state.verdicts.has(digest)) throw new AoError('DUPLICATE_EVIDENCE', 'this evidence was judged before', { digest })
  const bond = openCommit(state, reporter, { digest, salt })
  if (!verdict.guilty) {
    bond.keep(verdict.accused)
    return [{ type: 'acquitted', reporter }]
  }
  bond.giveBack()
  const { kind, role, operator, process, epoch, fork } = verdict
  const hosted = process === undefined ? undefined : hostedSince(state, process, epoch)
  checkAge(state, hosted)
  convict(state, { kind, digest, role, operator, reporter, process, since: hosted?.from })
  const convicted: Happening = { type: 'convicted', role, operator, kind }
  if (role !== 'SU' || process === undefined) return [convicted]
  const key = forkKey(process, operator, epoch)
  if (fork !== undefined && !state.forks.has(key)) state.forks.set(key, fork)
  // Without a row nothing proves that this SU hosts the Process: whoever bids for it proves that with its item.
  if (!faultRules[kind].tombstone || state.hosts.get(process)?.scheduler !== operator) return [convicted]
  const bidding = state.hosts.get(process)?.phase === 'bidding'
  unhost(state, { process, scheduler: operator })
  return bidding ? [convicted] : [convicted, { type: 'unhosted', process }]
}

/** The age counts from the end of the interval in which the unit was responsible; while that goes on, never. */
function checkAge({ params, clock }: EconomyState, hosted: { to: number | undefined } | undefined): void {
  const age = hosted?.to === undefined ? 0 : clock.value.height - hosted.to
  if (age > params.evidenceAgeBlocks) {
    throw new AoError('NOT_ALLOWED', 'the evidence is too old', { age, evidenceAgeBlocks: params.evidenceAgeBlocks })
  }
}

const done = (
  { type }: EconomyEvent,
  value: Readonly<Record<string, string | number | bigint | boolean>> = {},
): readonly Happening[] => [
  { type: 'done', event: type, value: Object.fromEntries(Object.entries(value).map(([k, v]) => [k, String(v)])) },
]

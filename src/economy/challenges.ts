import { AoError } from '../lib/errors.ts'
import type { Address, AssignmentId, MessageId, ProcessId } from '../protocol/ids.ts'
import type { UnitRole } from '../protocol/unit-record.ts'
import type { Account } from './account.ts'
import { schedule } from './agenda.ts'
import { epochsOf, judgePlace } from './host-epochs.ts'
import { hostOf, keepQueued, unhost } from './hosts.ts'
import { addFunds, forfeit, lock, unlock } from './ledger.ts'
import { operatorOf } from './operators.ts'
import { parseQuantity } from './quantity.ts'
import { payFee } from './rewards.ts'
import type { ChallengeRow } from './rows.ts'
import { changeDisputes, convict } from './slashing.ts'
import type { EconomyState } from './state.ts'

export interface ChallengeRequest {
  readonly kind: ChallengeRow['kind']
  readonly challenger: Account
  readonly accused: Address
  readonly process: ProcessId
  readonly epoch: number
  /** F2: where the Assignment stands. */
  readonly nonce?: number | undefined
  readonly message: MessageId
  /** F2: who signed the acknowledgement. */
  readonly signer?: Address | undefined
  /** F2: the acknowledgement that is not to be found. F8: none. */
  readonly assignment?: AssignmentId | undefined
  /** `Scheduler` of the Process's own item, where the challenge brings it: who hosts it unless the table says otherwise. */
  readonly firstScheduler?: Address | undefined
  /** Height that the acknowledgement or the promise names: the challenge may come only some time after. */
  readonly notBefore?: number | undefined
  /** F8: height after which nobody has to remember what was promised. */
  readonly notAfter?: number | undefined
}

const roleOf = { F2: 'SU', F3: 'SU', F8: 'MU' } as const satisfies Record<ChallengeRow['kind'], UnitRole>

/**
 * Asks a unit, in front of everybody, to show what it owes: it has `responseBlocks` to answer. The challenger locks a
 * bond and the fee for the service.
 *
 * @param id of the message that carries the challenge.
 * @throws AoError `NOT_ALLOWED` | `NOT_READY` | `INSUFFICIENT_BALANCE`
 */
export function openChallenge(state: EconomyState, id: string, request: ChallengeRequest): ChallengeRow {
  const { kind, challenger, accused, notBefore, notAfter, ...rest } = request
  const { height } = state.clock.value
  if (notBefore !== undefined && height < notBefore) {
    throw new AoError('NOT_READY', 'the unit still has time of its own', { height, from: notBefore })
  }
  if (notAfter !== undefined && height > notAfter) {
    throw new AoError('NOT_ALLOWED', 'that is too long ago', { height, until: notAfter })
  }
  // Only its host owes anything for a Process: without that an honest unit could be asked what it cannot have.
  const host = hostOf(state, request.process, request.firstScheduler)
  if (kind !== 'F8' && host?.scheduler !== accused) {
    throw new AoError('NOT_ALLOWED', 'that unit does not host the Process', { accused })
  }
  if (kind === 'F2' && !isServed(state, request)) {
    throw new AoError('NOT_ALLOWED', 'that Assignment is not of the log that the unit has to serve', { accused })
  }
  const before = state.openChallenges.get(`${challenger} ${accused}`) ?? 0
  const { maxOpenChallenges, responseBlocks } = state.params
  if (before >= maxOpenChallenges)
    throw new AoError('NOT_ALLOWED', 'too many open challenges of this unit', { open: before })
  const bond = parseQuantity(state.params.timeoutBond)
  const fee = kind === 'F3' ? parseQuantity(state.params.schedulingFee) : 0n
  lock(state, challenger, bond + fee)
  const row: ChallengeRow = {
    ...{ kind, challenger, accused, bond, fee, role: roleOf[kind], dueAt: height + responseBlocks },
    process: rest.process,
    epoch: rest.epoch,
    nonce: rest.nonce,
    message: rest.message,
    assignment: rest.assignment,
  }
  open(state, id, row)
  return row
}

function open(state: EconomyState, id: string, row: ChallengeRow): void {
  const pair = `${row.challenger} ${row.accused}`
  state.challenges.set(id, row)
  state.openChallenges.set(pair, (state.openChallenges.get(pair) ?? 0) + 1)
  changeDisputes(state, row.role, row.accused, 1)
  schedule(state, { height: row.dueAt, kind: 'challenge', key: id })
}

/** Its host serves the whole log: what it ordered itself, and what it took over. */
function isServed(state: EconomyState, { process, epoch, nonce, assignment, signer }: ChallengeRequest): boolean {
  if (nonce === undefined || assignment === undefined || signer === undefined) return false
  const row = state.hosts.get(process)
  return judgePlace(epochsOf(row, signer), { id: assignment, scheduler: signer, epoch, nonce }) === 'stands'
}

/** @throws AoError `NOT_ALLOWED` if there is none, or it is over. */
export function openChallengeAt(state: EconomyState, id: string): ChallengeRow {
  const row = state.challenges.get(id)
  if (row === undefined) throw new AoError('NOT_ALLOWED', 'there is no such open challenge', { id })
  return row
}

/** The unit has shown what was asked for: it gets the fee and half of the bond; the rest of it burns. */
export function answerChallenge(state: EconomyState, id: string): ChallengeRow {
  const row = openChallengeAt(state, id)
  close(state, id, row)
  forfeit(state, operatorOf(state, row.role, row.accused)?.owner ?? row.accused, row.bond)
  if (row.fee > 0n) {
    addFunds(state, { escrow: -row.fee })
    payFee(state, row.role, row.accused, row.fee)
  }
  return row
}

/**
 * An MU shows the message that it promised to deliver and could not: the SU that hosts the target is asked for it in the
 * MU's place (F3), by the same challenger for the same bond. While nobody hosts it, nobody is to blame and the bond goes
 * back; the next host orders the message.
 *
 * @param to id of the message that shows it: that of the new challenge.
 * @param firstScheduler of the Process item, where it was shown.
 * @throws AoError `NOT_ALLOWED` | `INVALID_ARGUMENT`
 */
export function passOnChallenge(
  state: EconomyState,
  { id, to, firstScheduler }: { id: string; to: string; firstScheduler: Address | undefined },
): ChallengeRow {
  const row = openChallengeAt(state, id)
  if (row.kind !== 'F8') throw new AoError('NOT_ALLOWED', 'only an MU may pass a challenge on', { id })
  const known = state.hosts.get(row.process)
  if (known === undefined && firstScheduler === undefined)
    throw new AoError('INVALID_ARGUMENT', 'the Process item is missing: nothing tells who is to order the message')
  const host = hostOf(state, row.process, firstScheduler)
  close(state, id, row)
  if (host === undefined) {
    unlock(state, row.challenger, row.bond + row.fee)
    if (known !== undefined) keepQueued(state, row.process, known, { message: row.message, shownIn: to })
    return row
  }
  const { height } = state.clock.value
  const dueAt = height + state.params.responseBlocks
  const asked: ChallengeRow = { ...row, kind: 'F3', role: 'SU', accused: host.scheduler, dueAt }
  open(state, to, asked)
  return row
}

/** No answer in time: guilty. @returns the row, if it was still open. */
export function expireChallenge(state: EconomyState, id: string): ChallengeRow | undefined {
  const row = state.challenges.get(id)
  if (row === undefined) return undefined
  close(state, id, row)
  unlock(state, row.challenger, row.bond + row.fee)
  const { kind, role, accused: operator, challenger: reporter, process } = row
  // What it took over it may have lost with its source: then it loses the Process and its bond, and no stake.
  const host = state.hosts.get(process)
  if (kind === 'F2' && host?.phase === 'hosted' && row.epoch < host.epoch) {
    unhost(state, { process, scheduler: operator })
    return row
  }
  convict(state, { kind, digest: `challenge ${id}`, role, operator, reporter, process })
  if (role === 'SU') {
    unhost(state, {
      process,
      scheduler: operator,
      queue: kind === 'F3' ? { message: row.message, shownIn: id } : undefined,
    })
  }
  return row
}

function close(state: EconomyState, id: string, row: ChallengeRow): void {
  state.challenges.delete(id)
  const pair = `${row.challenger} ${row.accused}`
  const left = (state.openChallenges.get(pair) ?? 1) - 1
  if (left === 0) state.openChallenges.delete(pair)
  else state.openChallenges.set(pair, left)
  changeDisputes(state, row.role, row.accused, -1)
}

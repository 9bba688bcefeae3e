import { openChallengeAt } from '../../economy/challenges.ts'
import type { EvidenceVerdict } from '../../economy/events.ts'
import { headerAt } from '../../economy/oracle.ts'
import { AoError, hasCode } from '../../lib/errors.ts'
import { type Assignment, parseAssignment } from '../../protocol/assignment.ts'
import { type Evidence, type EvidenceKind, evidenceDigest, judgeEvidence } from '../../protocol/evidence.ts'
import { type Address, type AssignmentId, type ProcessId, parseId } from '../../protocol/ids.ts'
import { verifyPurely } from '../../protocol/pure-signatures.ts'
import { tagValue } from '../../protocol/tags.ts'
import type { Action, Call } from './action.ts'
import { challengeOf, responseAnswers, showsMessage } from './challenge-items.ts'
import { isReadable, itemsOf, processItem, signedItem } from './items.ts'
import { addressOf, need } from './message.ts'

/** Actions on faults and on who hosts a Process: economy.md 3. */
export const faultActions: Readonly<Record<string, Action>> = {
  'Commit-Evidence': commit,
  'Submit-Evidence': submit,
  Challenge: challenge,
  Respond: respond,
  'Host-Bid': hostBid,
  'Host-Ready': hostReady,
  'Execute-Slash': call => {
    call.apply({ type: 'tick' }) // what is due happens with any message
  },
}

/** Items of a bid: the Process, and Assignments of its old SU. */
const maxBidItems = 65
/** Assignments that a bid names by their ids alone: each costs the gas of a hash. */
const maxBetween = 4096

function commit(call: Call): void {
  const commitment = need(call.request, 'Digest')
  call.apply({ type: 'commit', reporter: call.request.from, commitment })
  call.reply('Commit-Notice', { Digest: commitment })
}

function submit(call: Call): void {
  const { request } = call
  const kind = need(request, 'Kind')
  const proof = itemsOf(request.data, 2)
  if (!proof.every(isReadable)) throw new AoError('INVALID_ARGUMENT', 'an item is signed with neither RSA nor Ed25519')
  const { evidence, verdict } = judged(call, kind, proof)
  const digest = evidenceDigest(evidence)
  call.apply({ type: 'evidence', reporter: request.from, digest, salt: need(request, 'Salt'), verdict })
  if (verdict.guilty) call.reply('Evidence-Notice', { Kind: kind, Unit: verdict.operator, Digest: digest })
}

interface Judged {
  readonly evidence: Evidence
  readonly verdict: EvidenceVerdict
}

/** About blocks of Arweave (F9) the reporters of the oracle are believed. */
function judged(call: Call, kind: string, proof: readonly Uint8Array[]): Judged {
  const { request } = call
  const evidence: Evidence = {
    kind: kind as EvidenceKind,
    unit: addressOf(request, 'Unit'),
    process: parseId<ProcessId>(need(request, 'Process'), 'Process'),
    proof,
  }
  try {
    const guilt = judgeEvidence(evidence, verifyPurely, height => headerAt(call.state, height))
    const [first, second] = guilt.kind === 'F1' ? proof.map(assignmentOf) : []
    const chosen = [first, second].find(one => one?.id === tagValue(request.tags, 'Selected')) ?? first
    const fork = chosen === undefined ? undefined : { nonce: chosen.nonce, assignment: chosen.id }
    const role = guilt.kind === 'F5' ? 'CU' : 'SU'
    const { unit: operator, process, epoch } = guilt
    return { evidence, verdict: { guilty: true, kind: guilt.kind, role, operator, process, epoch, fork } }
  } catch (error) {
    if (!hasCode(error, 'INVALID_RECORD')) throw error
    return { evidence, verdict: { guilty: false, accused: ownerOf(call, evidence.unit) } }
  }
}

/** F2, F3, F8: the accused is asked, in front of everybody, to show what it owes. */
function challenge(call: Call): void {
  const { request } = call
  const asked = challengeOf(request, call.state.params)
  const { dueAt } = call.apply({ type: 'challenge', id: request.id, request: { ...asked, challenger: request.from } })
  const fields = { Challenge: request.id, Kind: asked.kind, Process: asked.process, 'Due-Height': dueAt }
  call.reply('Challenge-Notice', fields)
  call.out.send(asked.accused, 'Challenge-Notice', fields, { data: request.data })
}

function respond(call: Call): void {
  const id = need(call.request, 'Challenge')
  const row = openChallengeAt(call.state, id)
  const items = itemsOf(call.request.data, 2)
  const shown = showsMessage(row, items)
  if (shown === undefined) {
    responseAnswers(call.state, row, items)
    call.apply({ type: 'respond', id })
  } else {
    passOn(call, id, shown)
  }
  call.reply('Respond-Notice', { Challenge: id })
}

/** The message stands in this request, as in a challenge for it: so the SU finds it there. */
function passOn(call: Call, id: string, { firstScheduler }: { firstScheduler: Address | undefined }): void {
  const { request, state, out } = call
  if (request.from !== openChallengeAt(state, id).accused)
    throw new AoError('NOT_ALLOWED', 'only the MU that promised may pass the challenge on', { id })
  call.apply({ type: 'pass-on', id, to: request.id, firstScheduler })
  const asked = state.challenges.get(request.id)
  if (asked === undefined) return
  const fields = { Challenge: request.id, Kind: asked.kind, Process: asked.process, 'Due-Height': String(asked.dueAt) }
  out.send(asked.accused, 'Challenge-Notice', fields, { data: request.data })
}

/**
 * Data: the Process item, then Assignments of the old SU in a row, the last being where the log is to go on. After a
 * full stop the ids of those between the first two may follow, 43 characters each.
 */
function hostBid(call: Call): void {
  const { request, state } = call
  const [items = '', ids = ''] = request.data.split('.')
  const [first, ...rest] = itemsOf(items, maxBidItems)
  if (first === undefined) throw new AoError('INVALID_ARGUMENT', 'the bid shows no Process item')
  const { process, spec, fallbacks } = processItem(first)
  const chain = rest.map(assignmentOf).map(one => {
    if (one.process !== process) throw new AoError('INVALID_ARGUMENT', 'an Assignment is of another Process')
    const { nonce, id: assignment, hashChain, scheduler, epoch } = one
    return { nonce, assignment, hashChain, scheduler, epoch }
  })
  const bidder = request.from as Address
  const account = state.operators.get(`SU ${bidder}`)?.owner ?? bidder
  const proof = { firstScheduler: spec.scheduler, fallbacks, chain, between: betweenOf(ids) }
  call.apply({ type: 'bid', process, bidder, account, proof })
  call.reply('Bid-Notice', { Process: process })
}

/** The new host says that it has the log. What it lacks all the same it can be challenged for. */
function hostReady(call: Call): void {
  const process = parseId<ProcessId>(need(call.request, 'Process'), 'Process')
  call.apply({ type: 'host-ready', process, scheduler: call.request.from as Address })
  call.reply('Ready-Notice', { Process: process })
}

function betweenOf(text: string): readonly AssignmentId[] {
  const ids = text.match(/.{1,43}/gs) ?? []
  if (ids.length > maxBetween) throw new AoError('TOO_LARGE', 'the bid names too many Assignments', { maxBetween })
  return ids.map(id => parseId<AssignmentId>(id, 'Assignment'))
}

const assignmentOf = (bytes: Uint8Array): Assignment => parseAssignment(signedItem(bytes))

const ownerOf = ({ state }: Call, unit: Address): string | undefined =>
  (['SU', 'CU', 'MU'] as const)
    .map(role => state.operators.get(`${role} ${unit}`)?.owner)
    .find(owner => owner !== undefined)

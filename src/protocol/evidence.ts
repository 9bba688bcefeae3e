import { sha256, utf8 } from '../lib/bytes.ts'
import { AoError, type ErrorFacts } from '../lib/errors.ts'
import { canonicalJson } from '../lib/json.ts'
import { type Assignment, parseAssignment } from './assignment.ts'
import { type Attestation, draftAttestation, parseAttestation } from './attestation.ts'
import { packBundle, unpackBundle } from './bundle.ts'
import { type DataItem, type Draft, parseStoredItem, type VerifySignature, verifyDataItemBy } from './data-item.ts'
import { firstLink, nextLink } from './hash-chain.ts'
import { type Address, type Id, idFromBytes, type Nonce, type ProcessId, parseAddress, parseId } from './ids.ts'
import { verifySignature } from './signatures.ts'
import { hasTag, requireTag, tagsOf } from './tags.ts'

/**
 * Faults that signed items prove (economy.md section 3). F1: an SU gave one nonce to two messages. F1b: an SU's log is
 * broken, between two Assignments or at the first. F5: a CU attested two things of one Assignment. F9: an Assignment
 * names a block of Arweave that is not the one at its height; for that one has to know the block.
 */
export type EvidenceKind = 'F1' | 'F1b' | 'F5' | 'F9'

/** Hash of Arweave's block at a height, as whoever judges knows it; undefined where it does not (yet). */
export type BlockAt = (height: number) => string | undefined

/** Original signed items that cannot all be honest. Anyone can check it with no state. */
export interface Evidence {
  readonly kind: EvidenceKind
  /** Who signed them. Whether it was this unit's place to sign is for the host table to say. */
  readonly unit: Address
  readonly process: ProcessId
  /** One or two signed items, in the order of their ids. */
  readonly proof: readonly Uint8Array[]
  /** F9: hash of the block that the reporter saw at that height. Its word alone: whoever judges has to know better. */
  readonly block?: string | undefined
}

/** What verified Evidence proves. `nonce` is where the fault shows: the later of two. */
export interface Guilt {
  readonly kind: EvidenceKind
  readonly unit: Address
  readonly process: ProcessId
  readonly epoch: number
  readonly nonce: Nonce
}

export type Statement = Assignment | Attestation

/** Evidence, if these signed statements of one unit cannot all be honest. Signatures are taken as checked. */
export function findFault(first: Statement, second?: Statement): Evidence | undefined {
  const statements = second === undefined ? [first] : [first, second]
  const guilt = judge(statements)
  if (guilt === undefined) return undefined
  return {
    kind: guilt.kind,
    unit: guilt.unit,
    process: guilt.process,
    proof: inOrder(statements).map(({ raw }) => raw),
  }
}

/** Evidence that an Assignment names a block that is not there. @param block hash of the one that is. */
export const falseAnchor = ({ scheduler: unit, process, raw }: Assignment, block: string): Evidence => ({
  ...{ kind: 'F9', unit, process, block },
  proof: [raw],
})

/**
 * Checks signatures and all that is claimed, from the bytes alone: the same answer on every node and at any time. About
 * blocks of Arweave the reporter is believed.
 *
 * @throws AoError `INVALID_RECORD` saying why it proves nothing.
 */
export const verifyEvidence = async (evidence: Evidence): Promise<Guilt> =>
  judgeEvidence(evidence, verifySignature, () => evidence.block)

/** As `verifyEvidence`, at once and with the signatures checked by `verify`. @throws AoError also `NOT_READY` for F9. */
export function judgeEvidence(evidence: Evidence, verify: VerifySignature, blockAt: BlockAt): Guilt {
  const { kind, unit, process, proof } = evidence
  if (proof.length < 1 || proof.length > 2) throw rejected('it needs one or two items', { items: proof.length })
  const statements = proof.map(bytes => readStatement(bytes, verify))
  if (statements.length === 2 && statements[0]?.id === statements[1]?.id) throw rejected('both items are the same', {})
  const guilt = kind === 'F9' ? judgeAnchor(statements, blockAt) : judge(statements)
  if (guilt === undefined) throw rejected('the items do not contradict each other', { kind })
  if (guilt.kind !== kind) throw rejected('the items prove another fault', { kind, proven: guilt.kind })
  if (guilt.unit !== unit) throw rejected('another unit signed the items', { unit, signer: guilt.unit })
  if (guilt.process !== process) throw rejected('the items are about another Process', { process })
  const ordered = inOrder(statements)
  if (ordered.some(({ id }, i) => id !== statements[i]?.id))
    throw rejected('the items are not in the order of their ids', {})
  return guilt
}

/** The item that a reporter signs. */
export const draftEvidence = ({ kind, unit, process, proof, block }: Evidence): Draft => ({
  data: packBundle(proof.map(parseStoredItem)),
  tags: tagsOf(
    ['Data-Protocol', 'ao'],
    ['Type', 'Evidence'],
    ['Variant', 'aonet.1'],
    ['Kind', kind],
    ['Unit', unit],
    ['Process', process],
    ['Block', block],
  ),
})

/** Says nothing about guilt yet. @throws AoError `INVALID_RECORD` if the item is not Evidence. */
export function parseEvidence(item: DataItem): Evidence {
  const { tags } = item
  try {
    if (!hasTag(tags, 'Type', 'Evidence')) throw new AoError('INVALID_ARGUMENT', 'Type is not Evidence')
    const kind = kinds.find(known => known === requireTag(tags, 'Kind'))
    if (kind === undefined) throw new AoError('INVALID_ARGUMENT', 'Kind is not one that signed items prove')
    return {
      kind,
      unit: parseAddress(requireTag(tags, 'Unit'), 'Unit'),
      process: parseId<ProcessId>(requireTag(tags, 'Process'), 'Process'),
      proof: unpackBundle(item.data, { maxItems: 2 }).map(({ bytes }) => bytes),
      ...(kind === 'F9' && { block: requireTag(tags, 'Block') }),
    }
  } catch (cause) {
    const reason = cause instanceof AoError ? cause.message : 'it cannot be read'
    throw new AoError('INVALID_RECORD', `not Evidence: ${reason}`, { id: item.id }, { cause })
  }
}

/** One id for one offence, whoever reports it: SHA-256("ao-sec/ev/v1", 0, kind, the bundle of the items). */
export const evidenceDigest = ({ kind, proof }: Pick<Evidence, 'proof'> & { readonly kind: string }): Id =>
  idFromBytes(sha256(utf8(`ao-sec/ev/v1\0${kind}`), packBundle(proof.map(parseStoredItem))))

const kinds: readonly EvidenceKind[] = ['F1', 'F1b', 'F5', 'F9']

/** Assignments and Attestations are tags and a signature: 4096 bytes of tags and the largest owner and signature fit. */
const maxStatementBytes = 16 * 1024

function readStatement(bytes: Uint8Array, verify: VerifySignature): Statement {
  try {
    const item = verifyDataItemBy(verify, bytes, { maxBytes: maxStatementBytes })
    return hasTag(item.tags, 'Type', 'Attestation') ? parseAttestation(item) : parseAssignment(item)
  } catch (cause) {
    throw rejected(`an item is no signed statement: ${AoError.from(cause).message}`, {}, cause)
  }
}

function judge([first, second]: readonly Statement[]): Guilt | undefined {
  if (first === undefined) return undefined
  if (isAssignment(first)) {
    if (second === undefined) return judgeFirst(first)
    return isAssignment(second) ? judgeAssignments(first, second) : undefined
  }
  return second === undefined || isAssignment(second) ? undefined : judgeAttestations(first, second)
}

/** The first of a schedule stands alone: its link is the hash of the Process's id. */
function judgeFirst(only: Assignment): Guilt | undefined {
  if (only.nonce !== 0 || !hasOurChain(only)) return undefined
  return only.hashChain === firstLink(only.process) ? undefined : guiltOf('F1b', only)
}

function judgeAssignments(a: Assignment, b: Assignment): Guilt | undefined {
  if (a.scheduler !== b.scheduler || a.process !== b.process || a.epoch !== b.epoch) return undefined
  const [earlier, later] = a.nonce <= b.nonce ? [a, b] : [b, a]
  if (earlier.nonce === later.nonce) return earlier.message === later.message ? undefined : guiltOf('F1', later)
  if (earlier.message === later.message) return guiltOf('F1b', later)
  // Only neighbours: an honest SU may have got the one between from another branch of a re-hosted log.
  if (later.nonce !== earlier.nonce + 1) return undefined
  const goesBack = later.timestamp < earlier.timestamp || later.blockHeight < earlier.blockHeight
  const linkBroken = hasOurChain(earlier) && hasOurChain(later) && later.hashChain !== nextLink(earlier)
  return goesBack || linkBroken ? guiltOf('F1b', later) : undefined
}

/** @throws AoError `NOT_READY` while nobody has told of the block at that height. */
function judgeAnchor([only, ...more]: readonly Statement[], blockAt: BlockAt): Guilt | undefined {
  if (only === undefined || !isAssignment(only) || more.length > 0) throw rejected('F9 takes one Assignment', {})
  const known = blockAt(only.blockHeight)
  if (known === undefined)
    throw new AoError('NOT_READY', 'no final report of that block yet', { height: only.blockHeight })
  return known === only.blockHash ? undefined : guiltOf('F9', only)
}

function judgeAttestations(a: Attestation, b: Attestation): Guilt | undefined {
  const samePlace = a.process === b.process && a.epoch === b.epoch && a.nonce === b.nonce && a.cron === b.cron
  if (a.compute !== b.compute || !samePlace || a.assignment !== b.assignment) return undefined
  if (canonicalJson(draftAttestation(a)) === canonicalJson(draftAttestation(b))) return undefined
  return { kind: 'F5', unit: a.compute, process: a.process, epoch: a.epoch, nonce: a.nonce }
}

const guiltOf = (kind: EvidenceKind, { scheduler, process, epoch, nonce }: Assignment): Guilt => ({
  kind,
  unit: scheduler,
  process,
  epoch,
  nonce,
})

/** Other variants link differently: what breaks our chain may be right in theirs. */
const hasOurChain = ({ raw }: Assignment): boolean => hasTag(parseStoredItem(raw).tags, 'Variant', 'ao.TN.1')

const isAssignment = (statement: Statement): statement is Assignment => 'scheduler' in statement

const inOrder = (statements: readonly Statement[]): readonly Statement[] =>
  [...statements].sort((a, b) => (a.id < b.id ? -1 : 1))

const rejected = (reason: string, facts: ErrorFacts, cause?: unknown): AoError =>
  new AoError('INVALID_RECORD', `the evidence proves nothing: ${reason}`, facts, { cause })

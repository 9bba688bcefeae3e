import { AoError } from '../lib/errors.ts'
import type { Assignment } from './assignment.ts'
import { cronText } from './cron.ts'
import type { DataItem, Draft } from './data-item.ts'
import {
  type Address,
  type AssignmentId,
  type Id,
  type ModuleId,
  type Nonce,
  type ProcessId,
  parseId,
  parseNonce,
} from './ids.ts'
import { outboxRoot, outboxSize, outputHash, type Result } from './result.ts'
import { hasTag, requireTag, tagsOf, tagValue } from './tags.ts'

/** A CU's signed statement of what one message of one Process gave. It covers everything a client or an MU reads. */
export interface Attestation {
  readonly id: Id
  /** Who signed: the Compute Unit. */
  readonly compute: Address
  readonly process: ProcessId
  readonly epoch: number
  readonly nonce: Nonce
  /** Of a cron message after that nonce: which, as `cronText`. */
  readonly cron: string | undefined
  readonly assignment: AssignmentId
  readonly hashChain: string
  readonly module: ModuleId
  readonly meter: string
  /** The `stateRoot` of the nonce before. */
  readonly previousStateRoot: Id
  /** The newest state root that was due, which need not be of this nonce: `root-rule.ts` has the rule. */
  readonly stateRoot: Id
  /** The nonce after which the state had that root. */
  readonly stateNonce: Nonce
  readonly outboxRoot: Id
  readonly outboxCount: number
  readonly outputHash: Id
  readonly gasUsed: bigint
  /** `none`, or the error's text cut to 64 characters. */
  readonly error: string
  readonly raw: Uint8Array
}

export type AttestationFields = Omit<Attestation, 'id' | 'compute' | 'raw'>

/** What a CU says about its own Result. */
export const attestationOf = (
  result: Result,
  at: { assignment: Assignment; module: ModuleId; meter: string; previousStateRoot: Id },
): AttestationFields => ({
  process: result.process,
  epoch: at.assignment.epoch,
  nonce: result.nonce,
  cron: result.cron && cronText(result.cron),
  assignment: at.assignment.id,
  hashChain: at.assignment.hashChain,
  module: at.module,
  meter: at.meter,
  previousStateRoot: at.previousStateRoot,
  stateRoot: result.stateRoot,
  stateNonce: result.stateNonce,
  outboxRoot: outboxRoot(result.outbox),
  outboxCount: outboxSize(result.outbox),
  outputHash: outputHash(result),
  gasUsed: result.gasUsed,
  error: attestedError(result),
})

export const draftAttestation = (fields: AttestationFields): Draft => ({
  data: new Uint8Array(0),
  tags: tagsOf(
    ['Data-Protocol', 'ao'],
    ['Type', 'Attestation'],
    ['Variant', 'aonet.1'],
    ['Process', fields.process],
    ['Epoch', String(fields.epoch)],
    ['Nonce', String(fields.nonce)],
    ['Cron', fields.cron],
    ['Assignment', fields.assignment],
    ['Hash-Chain', fields.hashChain],
    ['Module', fields.module],
    ['Meter', fields.meter],
    ['Previous-State-Root', fields.previousStateRoot],
    ['State-Root', fields.stateRoot],
    ['State-Nonce', String(fields.stateNonce)],
    ['Outbox-Root', fields.outboxRoot],
    ['Outbox-Count', String(fields.outboxCount)],
    ['Output-Hash', fields.outputHash],
    ['Gas-Used', String(fields.gasUsed)],
    ['Error', fields.error],
  ),
})

/** @throws AoError `INVALID_RECORD` if the item is not an Attestation. */
export function parseAttestation(item: DataItem): Attestation {
  const { tags } = item
  const id = <T extends Id = Id>(name: string): T => parseId<T>(requireTag(tags, name), name)
  const number = (name: string): number => parseNonce(requireTag(tags, name), name)
  try {
    if (!hasTag(tags, 'Type', 'Attestation')) throw new AoError('INVALID_ARGUMENT', 'Type is not Attestation')
    return {
      id: item.id,
      compute: item.owner,
      process: id('Process'),
      epoch: number('Epoch'),
      nonce: number('Nonce') as Nonce,
      cron: tagValue(tags, 'Cron'),
      assignment: id('Assignment'),
      hashChain: id('Hash-Chain'),
      module: id('Module'),
      meter: requireTag(tags, 'Meter'),
      previousStateRoot: id('Previous-State-Root'),
      stateRoot: id('State-Root'),
      stateNonce: number('State-Nonce') as Nonce,
      outboxRoot: id('Outbox-Root'),
      outboxCount: number('Outbox-Count'),
      outputHash: id('Output-Hash'),
      gasUsed: BigInt(number('Gas-Used')),
      error: requireTag(tags, 'Error'),
      raw: item.raw,
    }
  } catch (cause) {
    const reason = cause instanceof AoError ? cause.message : 'it cannot be read'
    throw new AoError('INVALID_RECORD', `not an Attestation: ${reason}`, { id: item.id }, { cause })
  }
}

/**
 * Whether the Attestation says of its message what the Result says.
 *
 * @throws AoError `INVALID_RECORD` naming the first field in which they differ.
 */
export function checkAttests(attestation: Attestation, result: Result): void {
  const claims = {
    process: result.process,
    nonce: result.nonce,
    cron: result.cron && cronText(result.cron),
    stateRoot: result.stateRoot,
    stateNonce: result.stateNonce,
    outboxRoot: outboxRoot(result.outbox),
    outboxCount: outboxSize(result.outbox),
    outputHash: outputHash(result),
    gasUsed: result.gasUsed,
    error: attestedError(result),
  } satisfies Partial<AttestationFields>
  for (const [field, value] of Object.entries(claims)) {
    const attested = attestation[field as keyof typeof claims]
    if (attested === value) continue
    const facts = { field, attested: String(attested), result: String(value), compute: attestation.compute }
    throw new AoError('INVALID_RECORD', 'the Attestation does not match the Result', facts)
  }
}

/** Whole characters only: half of one would not come back from the signed bytes as it went in. */
const attestedError = ({ error = 'none' }: Result): string =>
  [...error.slice(0, 2 * maxErrorCharacters).toWellFormed()].slice(0, maxErrorCharacters).join('')
const maxErrorCharacters = 64

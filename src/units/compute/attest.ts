import { AoError } from '../../lib/errors.ts'
import { failpoint } from '../../lib/failpoint.ts'
import type { Logger } from '../../lib/telemetry.ts'
import type { NamedRow, PutOptions, ResultStore, RowNames, StoredResult } from '../../ports/result-store.ts'
import type { AttestedResult, CronAt } from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { attestationOf, draftAttestation, parseAttestation } from '../../protocol/attestation.ts'
import { checkedDataItem } from '../../protocol/checked-items.ts'
import { cronText } from '../../protocol/cron.ts'
import type { DataItem } from '../../protocol/data-item.ts'
import type { Address, Id, MessageId, ModuleId, Nonce, ProcessId } from '../../protocol/ids.ts'
import type { Signer } from '../../protocol/keys.ts'
import { outboxRoot, outputHash, type Result } from '../../protocol/result.ts'
import type { Broadcast } from '../broadcast.ts'

export interface AttestorDeps {
  readonly signer: Signer
  readonly results: ResultStore
  readonly broadcast: Broadcast
  readonly log: Logger
  /** The gas rules of the network. */
  readonly meter: string
}

export interface Evaluated {
  readonly result: Result
  readonly assignment: Assignment
  readonly module: ModuleId
  readonly previousStateRoot: Id
  /** Of a message that is not a cron's. */
  readonly names?: RowNames | undefined
  /** As it was ordered; absent for what is on Arweave already, and for cron messages. */
  readonly message?: DataItem | undefined
}

/**
 * Says what each evaluation gave: signed, stored, then published.
 *
 * Invariant: one Attestation per Nonce, for ever. What a replay gives again must equal what was said.
 */
export class Attestor {
  readonly #deps: AttestorDeps
  #recorded = 0

  constructor(deps: AttestorDeps) {
    this.#deps = deps
  }

  /** Results recorded since the start; replays of earlier ones do not count. */
  get recorded(): number {
    return this.#recorded
  }

  record(evaluated: Evaluated): Promise<void> {
    return this.recordAll([evaluated])
  }

  /**
   * Messages of one Process, in their order. Resolves when all are on disk.
   *
   * @throws AoError `STORE_CORRUPT` if an earlier evaluation gave something else, `EQUIVOCATION` if it was of another
   * Assignment.
   */
  async recordAll(evaluated: readonly Evaluated[], options: PutOptions = {}): Promise<void> {
    const { results, broadcast } = this.#deps
    const signed = await Promise.all(evaluated.map(each => this.#signNew(each)))
    const rows = signed.filter(row => row !== undefined)
    if (rows.length === 0) return
    failpoint('cu-signed')
    await results.putAll(rows, options)
    failpoint('cu-recorded')
    this.#recorded += rows.length
    for (const { row } of rows) broadcast.send(row.attestation)
  }

  /** Only compares with what was said before, where something was. @throws AoError as `recordAll` */
  async compare(evaluated: readonly Evaluated[]): Promise<void> {
    for (const each of evaluated) {
      const { process, nonce, cron } = each.result
      const stored = await this.#deps.results.get(process, nonce, cron)
      if (stored !== undefined) this.#assertSame(stored, each)
    }
  }

  /** Undefined for what was said before. */
  async #signNew(evaluated: Evaluated): Promise<NamedRow | undefined> {
    const { signer, results, meter } = this.#deps
    const { result, assignment, message, names } = evaluated
    const stored = await results.get(result.process, result.nonce, result.cron)
    if (stored !== undefined) {
      this.#assertSame(stored, evaluated)
      return undefined
    }
    const { raw } = await signer.sign(draftAttestation(attestationOf(result, { ...evaluated, meter })))
    return { row: { assignment, result, attestation: raw, message }, names }
  }

  #assertSame(stored: StoredResult, { result, assignment }: Evaluated): void {
    const { process, nonce } = result
    if (stored.assignment.id !== assignment.id) {
      const facts = {
        process,
        nonce,
        before: stored.assignment.id,
        now: assignment.id,
        scheduler: assignment.scheduler,
      }
      this.#deps.log.error('schedule-changed', facts)
      throw new AoError('EQUIVOCATION', 'the scheduler shows another assignment than before', facts)
    }
    if (sayings(stored.result) === sayings(result)) return
    const facts = { process, nonce, before: stored.result.stateRoot, now: result.stateRoot }
    this.#deps.log.error('replay-diverged', facts)
    throw new AoError('STORE_CORRUPT', 'evaluating again gave another result than the one signed before', facts, {
      hint: 'Report this with the ids: a Module or its VM is not deterministic, or the store was changed.',
    })
  }
}

/**
 * Does a CU's answer say what the CU signed, about what was asked?
 *
 * @throws AoError `INTERNAL`, which sends the asker to another CU, unless all of it fits.
 */
export async function checkAttested(
  { result, attestation }: AttestedResult,
  asked: { readonly process: ProcessId; readonly at: MessageId | Nonce | CronAt; readonly compute: Address },
): Promise<void> {
  try {
    const signed = parseAttestation(await checkedDataItem(attestation))
    const checks: readonly (readonly [what: string, signed: unknown, answered: unknown])[] = [
      ['signer', signed.compute, asked.compute],
      ['Process', signed.process, asked.process],
      ['Process', signed.process, result.process],
      ['nonce', signed.nonce, result.nonce],
      ['nonce', signed.nonce, nonceAsked(asked.at) ?? result.nonce],
      ['cron message', signed.cron, result.cron && cronText(result.cron)],
      ['cron message', signed.cron, typeof asked.at === 'object' ? cronText(asked.at.cron) : signed.cron],
      ['state root', signed.stateRoot, result.stateRoot],
      ['nonce of the state root', signed.stateNonce, result.stateNonce],
      ['outbox', signed.outboxRoot, outboxRoot(result.outbox)],
      ['output', signed.outputHash, outputHash(result)],
    ]
    const wrong = checks.find(([, signedValue, answered]) => signedValue !== answered)
    if (wrong !== undefined) throw new AoError('INVALID_RECORD', `another ${wrong[0]} than the Attestation's`)
  } catch (cause) {
    const { process, compute } = asked
    throw new AoError('INTERNAL', 'a Compute Unit answered what it did not sign', { process, compute }, { cause })
  }
}

const nonceAsked = (at: MessageId | Nonce | CronAt): Nonce | undefined =>
  typeof at === 'object' ? at.nonce : typeof at === 'number' ? at : undefined

const sayings = (result: Result): string =>
  `${result.stateRoot} ${result.stateNonce} ${outboxRoot(result.outbox)} ${outputHash(result)} ${result.error ?? ''}`

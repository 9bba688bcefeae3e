import type { AbortOptions } from '../../lib/abort.ts'
import { copyOf } from '../../lib/bytes.ts'
import { AoError } from '../../lib/errors.ts'
import type { AttestedResult, Compute, DryRunMessage } from '../../ports/units.ts'
import { checkAttests, parseAttestation } from '../../protocol/attestation.ts'
import { verifyDataItem } from '../../protocol/data-item.ts'
import type { MessageId, Nonce, ProcessId } from '../../protocol/ids.ts'
import type { Evaluation } from '../../protocol/result.ts'
import type { ChannelPool, Peer } from './channel-pool.ts'
import { unaryCall } from './client-calls.ts'
import { atToWire, dryRunToWire, evaluationFromWire, resultFromWire } from './convert.ts'
import { ComputeService } from './generated/ao/v1/compute.ts'

export interface ComputeDeadlines {
  readonly resultMs: number
  readonly dryRunMs: number
}

/** A Compute on another node. A result without this unit's matching signature under it does not get past here. */
export class RemoteCompute implements Compute {
  readonly #pool: ChannelPool
  readonly #peer: Peer
  readonly #deadlines: ComputeDeadlines

  constructor(pool: ChannelPool, peer: Peer, deadlines: ComputeDeadlines) {
    this.#pool = pool
    this.#peer = peer
    this.#deadlines = deadlines
  }

  /** @throws AoError `INVALID_RECORD` if the Attestation is not this unit's (unless it forwards) or does not say what the result says. */
  async result(process: ProcessId, at: MessageId | Nonce, { signal }: AbortOptions = {}): Promise<AttestedResult> {
    const request = { process, at: atToWire(at) }
    const options = { signal, deadlineMs: this.#deadlines.resultMs }
    const answer = await unaryCall(this.#pool, this.#peer, ComputeService.getResult, request, options)
    const result = resultFromWire(answer.result)
    if (result.process !== process) throw this.#dishonest('the result is of another Process', process, result.process)
    if (typeof at === 'number' && result.nonce !== at) {
      throw this.#dishonest('the result is of another nonce', at, result.nonce)
    }
    const attestation = copyOf(answer.attestation)
    const attested = parseAttestation(await verifyDataItem(attestation))
    const { address, forwards } = this.#peer
    if (forwards !== true && attested.compute !== address)
      throw this.#dishonest('the signer is another', address, attested.compute)
    checkAttests(attested, result)
    return { result, attestation }
  }

  async dryRun(process: ProcessId, message: DryRunMessage, { signal }: AbortOptions = {}): Promise<Evaluation> {
    const request = dryRunToWire(process, message)
    const options = { signal, deadlineMs: this.#deadlines.dryRunMs }
    const answer = await unaryCall(this.#pool, this.#peer, ComputeService.dryRun, request, options)
    return evaluationFromWire(answer.result)
  }

  #dishonest(what: string, expected: string | number, got: string | number): AoError {
    const facts = { expected, got, compute: this.#peer.address }
    return new AoError('INVALID_RECORD', `the Compute Unit's answer does not fit: ${what}`, facts)
  }
}

import type { AbortOptions } from '../../lib/abort.ts'
import { copyOf } from '../../lib/bytes.ts'
import { AoError } from '../../lib/errors.ts'
import type { StoredResult } from '../../ports/result-store.ts'
import type {
  AttestedResult,
  Compute,
  CronAt,
  DryRunMessage,
  MemoryDump,
  ResultsPage,
  ResultsQuery,
  StateOptions,
} from '../../ports/units.ts'
import type { Assignment } from '../../protocol/assignment.ts'
import { type Attestation, checkAttests, parseAttestation } from '../../protocol/attestation.ts'
import { checkedDataItem } from '../../protocol/checked-items.ts'
import { comparePlaces } from '../../protocol/cron.ts'
import { type MessageId, type Nonce, type ProcessId, parseNonce } from '../../protocol/ids.ts'
import type { Evaluation, Result } from '../../protocol/result.ts'
import type { Peer } from './channel-pool.ts'
import { type Carrier, streamCall, unaryCall } from './client-calls.ts'
import {
  assignmentFromWire,
  dryRunToWire,
  evaluationFromWire,
  resultAtToWire,
  resultFromWire,
  resultsQueryToWire,
  stateBoundToWire,
} from './convert.ts'
import type { UnitExchanges } from './exchange-kinds.ts'
import { ComputeService, type GetMemoryResponse, type ListResultsResponse } from './generated/ao/v1/compute.ts'

export interface ComputeDeadlines {
  readonly resultMs: number
  readonly dryRunMs: number
  readonly streamIdleMs: number
}

/** A Compute on another node. A result without this unit's matching signature under it does not get past here. */
export class RemoteCompute implements Compute {
  readonly #pool: Carrier
  readonly #streams: Pick<UnitExchanges, 'result'>
  readonly #peer: Peer
  readonly #deadlines: ComputeDeadlines

  constructor(
    { pool, streams }: { readonly pool: Carrier; readonly streams: Pick<UnitExchanges, 'result'> },
    peer: Peer,
    deadlines: ComputeDeadlines,
  ) {
    this.#pool = pool
    this.#streams = streams
    this.#peer = peer
    this.#deadlines = deadlines
  }

  /** @throws AoError `INVALID_RECORD` if the Attestation is not this unit's (unless it forwards) or does not say what the result says. */
  async result(
    process: ProcessId,
    at: MessageId | Nonce | CronAt,
    { signal }: AbortOptions = {},
  ): Promise<AttestedResult> {
    const request = { process, at: resultAtToWire(at) }
    const options = { signal, deadlineMs: this.#deadlines.resultMs }
    const answer = await this.#streams.result.ask(this.#peer, request, options)
    const result = resultFromWire(answer.result)
    const attestation = copyOf(answer.attestation)
    await this.#attested(process, result, attestation)
    if (typeof at === 'object' && !isOf(result, at)) {
      throw this.#dishonest('the result is of another cron message', at.cron.id, result.cron?.id ?? 'none')
    }
    if (typeof at === 'number' && (result.nonce !== at || result.cron !== undefined)) {
      throw this.#dishonest('the result is of another nonce', at, result.nonce)
    }
    return { result, attestation }
  }

  /** @throws AoError `INVALID_RECORD` unless each row is attested, of its Assignment, and in its place. */
  async results(process: ProcessId, query: ResultsQuery, { signal }: AbortOptions = {}): Promise<ResultsPage> {
    const request = resultsQueryToWire(process, query)
    const options = { signal, idleMs: this.#deadlines.streamIdleMs }
    const rows: StoredResult[] = []
    let hasNext = false
    for await (const row of streamCall(this.#pool, this.#peer, ComputeService.listResults, request, options)) {
      const next = await this.#row(process, row)
      const before = rows.at(-1)?.result
      const inOrder = before === undefined || comparePlaces(next.result, before) * (query.descending ? -1 : 1) > 0
      if (!inOrder) throw this.#dishonest('the results are out of order', before?.nonce, next.result.nonce)
      if (rows.push(next) > query.limit) throw this.#dishonest('there are too many results', query.limit, rows.length)
      hasNext = row.hasNext
    }
    return { rows, hasNext }
  }

  async dryRun(process: ProcessId, message: DryRunMessage, { signal, to }: StateOptions = {}): Promise<Evaluation> {
    const request = dryRunToWire(process, message, to)
    const options = { signal, deadlineMs: this.#deadlines.dryRunMs }
    const answer = await unaryCall(this.#pool, this.#peer, ComputeService.dryRun, request, options)
    return evaluationFromWire(answer.result)
  }

  async memory(process: ProcessId, { signal, to }: StateOptions = {}): Promise<MemoryDump> {
    const options = { signal, idleMs: this.#deadlines.streamIdleMs }
    const request = { process, to: stateBoundToWire(to) }
    const parts = streamCall(this.#pool, this.#peer, ComputeService.getMemory, request, options)
    const { value } = await parts.next()
    if (value?.part?.$case === 'head') {
      const { nonce, ...head } = value.part.value
      return { ...head, nonce: parseNonce(nonce), gzip: gzipOf(parts) }
    }
    await parts.return()
    throw new AoError('INVALID_RECORD', "the node's answer is not a memory", { compute: this.#peer.address })
  }

  async #row(process: ProcessId, row: ListResultsResponse): Promise<StoredResult> {
    const assignment: Assignment = await assignmentFromWire(row.assignment)
    const result = resultFromWire(row.result)
    const attestation = copyOf(row.attestation)
    const attested = await this.#attested(process, result, attestation)
    if (attested.assignment === assignment.id) return { assignment, result, attestation }
    throw this.#dishonest('the result is of another Assignment', attested.assignment, assignment.id)
  }

  /** The Attestation, which is of this unit and says of the message what the result says. */
  async #attested(process: ProcessId, result: Result, attestation: Uint8Array): Promise<Attestation> {
    if (result.process !== process) throw this.#dishonest('the result is of another Process', process, result.process)
    const attested = parseAttestation(await checkedDataItem(attestation))
    const { address, forwards } = this.#peer
    if (forwards !== true && attested.compute !== address)
      throw this.#dishonest('the signer is another', address, attested.compute)
    checkAttests(attested, result)
    return attested
  }

  #dishonest(what: string, expected: string | number | undefined, got: string | number): AoError {
    const facts = { expected, got, compute: this.#peer.address }
    return new AoError('INVALID_RECORD', `the Compute Unit's answer does not fit: ${what}`, facts)
  }
}

async function* gzipOf(parts: AsyncIterable<GetMemoryResponse>): AsyncIterable<Uint8Array> {
  for await (const { part } of parts) if (part?.$case === 'gzip') yield copyOf(part.value)
}

const isOf = (result: Result, at: CronAt): boolean => result.cron !== undefined && comparePlaces(result, at) === 0

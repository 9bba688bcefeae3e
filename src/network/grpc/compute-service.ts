import { followResults } from '../../ports/follow-results.ts'
import type { Compute, Scheduler } from '../../ports/units.ts'
import { type ProcessId, parseId } from '../../protocol/ids.ts'
import { encodeResult } from '../../protocol/result.ts'
import type { CallRunner } from './call-runner.ts'
import {
  dryRunFromWire,
  evaluationToWire,
  placeFromWire,
  resultAtFromWire,
  resultsQueryFromWire,
  stateBoundFromWire,
} from './convert.ts'
import { tagged } from './exchange-service.ts'
import { maxStreamedBytes } from './gathering.ts'
import type {
  ComputeServer,
  GetResultRequest,
  GetResultResponse,
  ResultStreamRequest,
  ResultStreamResponse,
} from './generated/ao/v1/compute.ts'
import type { Listening } from './listening.ts'

/** A Compute on the wire. */
export const computeService = (
  calls: CallRunner,
  { compute, scheduler }: { readonly compute: Compute; readonly scheduler: Scheduler },
  { maxInFlight }: { readonly maxInFlight: number },
): ComputeServer => ({
  getResult: calls.unary((request, options) => resultOf(compute, request, options)),
  resultStream: calls.exchange<ResultStreamRequest, ResultStreamResponse>(
    maxInFlight,
    tagged({
      isEmpty: ({ question }) => question === undefined,
      answer: async ({ question = nothing, takesApart }, options) => {
        const value = await resultOf(compute, question, options)
        if (takesApart && bytesOf(value) > maxStreamedBytes) return { $case: 'apart' as const, value: true }
        return { $case: 'answer' as const, value }
      },
      bytesOf: outcome => (outcome?.$case === 'answer' ? bytesOf(outcome.value) : 0),
    }),
  ),
  listResults: calls.serverStream(async function* (request, options) {
    const { rows, hasNext } = await compute.results(processId(request.process), resultsQueryFromWire(request), options)
    for (const [i, { assignment, result, attestation }] of rows.entries()) {
      const row = { assignment: assignment.raw, result: encodeResult(result), attestation }
      yield { ...row, hasNext: hasNext || i < rows.length - 1 }
    }
  }),
  followResults: calls.serverStream(async function* ({ process, after }, options) {
    const at = { process: processId(process), after: placeFromWire(after) }
    for await (const { assignment, result, attestation } of followResults({ scheduler, compute }, at, options)) {
      yield { assignment: assignment.raw, result: encodeResult(result), attestation }
    }
  }),
  dryRun: calls.unary(async (request, options) => {
    const to = stateBoundFromWire(request.to)
    const evaluation = await compute.dryRun(processId(request.process), dryRunFromWire(request), { ...options, to })
    return { result: evaluationToWire(evaluation) }
  }),
  getMemory: calls.serverStream(async function* ({ process, to }, options) {
    const state = { ...options, to: stateBoundFromWire(to) }
    const { nonce, timestamp, blockHeight, memoryBytes, gzip } = await compute.memory(processId(process), state)
    yield { part: { $case: 'head', value: { nonce, timestamp, blockHeight, memoryBytes } } }
    for await (const value of gzip) yield { part: { $case: 'gzip', value } }
  }),
})

const bytesOf = ({ result, attestation }: GetResultResponse): number => result.length + attestation.length

const nothing: GetResultRequest = { process: '', at: undefined }

async function resultOf(
  compute: Compute,
  { process, at }: GetResultRequest,
  options: Listening,
): Promise<GetResultResponse> {
  const { result, attestation } = await compute.result(processId(process), resultAtFromWire(at), options)
  return { result: encodeResult(result), attestation }
}

const processId = (text: string): ProcessId => parseId<ProcessId>(text, 'process')

import type { Compute } from '../../ports/units.ts'
import { type ProcessId, parseId } from '../../protocol/ids.ts'
import { encodeResult } from '../../protocol/result.ts'
import type { CallRunner } from './call-runner.ts'
import { dryRunFromWire, evaluationToWire, resultAtFromWire, resultsQueryFromWire } from './convert.ts'
import type { ComputeServer } from './generated/ao/v1/compute.ts'

/** A Compute on the wire. */
export const computeService = (calls: CallRunner, compute: Compute): ComputeServer => ({
  getResult: calls.unary(async ({ process, at }, options) => {
    const { result, attestation } = await compute.result(processId(process), resultAtFromWire(at), options)
    return { result: encodeResult(result), attestation }
  }),
  listResults: calls.serverStream(async function* (request, options) {
    const { rows, hasNext } = await compute.results(processId(request.process), resultsQueryFromWire(request), options)
    for (const [i, { assignment, result, attestation }] of rows.entries()) {
      const row = { assignment: assignment.raw, result: encodeResult(result), attestation }
      yield { ...row, hasNext: hasNext || i < rows.length - 1 }
    }
  }),
  dryRun: calls.unary(async (request, options) => {
    const evaluation = await compute.dryRun(processId(request.process), dryRunFromWire(request), options)
    return { result: evaluationToWire(evaluation) }
  }),
  getMemory: calls.serverStream(async function* ({ process }, options) {
    const { nonce, timestamp, blockHeight, memoryBytes, gzip } = await compute.memory(processId(process), options)
    yield { part: { $case: 'head', value: { nonce, timestamp, blockHeight, memoryBytes } } }
    for await (const value of gzip) yield { part: { $case: 'gzip', value } }
  }),
})

const processId = (text: string): ProcessId => parseId<ProcessId>(text, 'process')

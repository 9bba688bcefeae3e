import type { Compute } from '../../src/ports/units.ts'
import { draftAttestation, parseAttestation } from '../../src/protocol/attestation.ts'
import { parseStoredItem } from '../../src/protocol/data-item.ts'
import type { Signer } from '../../src/protocol/keys.ts'
import { type Outbox, outboxRoot, outboxSize } from '../../src/protocol/result.ts'

/** A CU that answers honestly until `lies` says otherwise; then it signs an outbox of its own making. */
export const lyingCompute = (
  honest: Compute,
  signer: Signer,
  lies: (outbox: Outbox) => Outbox | undefined,
): Compute => ({
  async result(process, at, options) {
    const { result, attestation } = await honest.result(process, at, options)
    const outbox = lies(result.outbox)
    if (outbox === undefined) return { result, attestation }
    const said = parseAttestation(parseStoredItem(attestation))
    const forged = { ...said, outboxRoot: outboxRoot(outbox), outboxCount: outboxSize(outbox) }
    return { result: { ...result, outbox }, attestation: (await signer.sign(draftAttestation(forged))).raw }
  },
  results: (process, query, options) => honest.results(process, query, options),
  memory: (process, options) => honest.memory(process, options),
  dryRun: (process, message, options) => honest.dryRun(process, message, options),
})

import assert from 'node:assert/strict'
import { attestationOf, checkAttests, draftAttestation, parseAttestation } from '../../../src/protocol/attestation.ts'
import { verifyDataItem } from '../../../src/protocol/data-item.ts'
import type { ModuleId, Nonce } from '../../../src/protocol/ids.ts'
import { emptyOutbox, type Result } from '../../../src/protocol/result.ts'
import { anId, aProcess, processIdOf, schedule, testSigner } from '../../support/builders.ts'

describe('protocol/attestation', () => {
  it('still fits its Result after the wire, whatever the text of the error', async () => {
    const item = await aProcess()
    const [first] = await schedule(item)
    assert.ok(first)
    const at = {
      assignment: first.assignment,
      module: anId<ModuleId>('m'),
      meter: 'none-1',
      previousStateRoot: anId('p'),
    }
    for (const error of [
      undefined,
      'short',
      'x'.repeat(1000),
      `${'x'.repeat(63)}😀😀`,
      '😀'.repeat(64),
      'half \ud83d',
    ]) {
      const result: Result = {
        process: processIdOf(item),
        nonce: 0 as Nonce,
        outbox: emptyOutbox,
        output: null,
        error,
        gasUsed: 12n,
        stateRoot: anId('s'),
        stateNonce: 0 as Nonce,
      }
      const signed = await testSigner('cu').sign(draftAttestation(attestationOf(result, at)))
      const attestation = parseAttestation(await verifyDataItem(signed.raw))
      checkAttests(attestation, result)
      assert.ok([...attestation.error].length <= 64)
      assert.throws(() => checkAttests(attestation, { ...result, gasUsed: 13n }), { code: 'INVALID_RECORD' })
    }
  })
})

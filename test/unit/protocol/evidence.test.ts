import assert from 'node:assert/strict'
import { asBuffer } from '../../../src/lib/bytes.ts'
import {
  type Assignment,
  type AssignmentFields,
  draftAssignment,
  parseAssignment,
} from '../../../src/protocol/assignment.ts'
import {
  type Attestation,
  type AttestationFields,
  attestationOf,
  draftAttestation,
  parseAttestation,
} from '../../../src/protocol/attestation.ts'
import { verifyDataItem } from '../../../src/protocol/data-item.ts'
import {
  draftEvidence,
  type Evidence,
  evidenceDigest,
  falseAnchor,
  findFault,
  judgeEvidence,
  parseEvidence,
  verifyEvidence,
} from '../../../src/protocol/evidence.ts'
import type { MessageId, ModuleId, Nonce, ProcessId } from '../../../src/protocol/ids.ts'
import { verifyPurely } from '../../../src/protocol/pure-signatures.ts'
import { emptyOutbox } from '../../../src/protocol/result.ts'
import { anId, anItem, aProcess, messages, processIdOf, schedule, testSigner } from '../../support/builders.ts'

describe('protocol/evidence', () => {
  let process: ProcessId
  let chain: readonly Assignment[]
  const at = (nonce: number): Assignment => chain[nonce] ?? assert.fail(`no nonce ${nonce}`)
  const sign = async (fields: AssignmentFields, by = 'su'): Promise<Assignment> =>
    parseAssignment(await testSigner(by).sign(draftAssignment(fields)))

  const attested = (nonce: number): AttestationFields =>
    attestationOf(
      {
        process,
        nonce: nonce as Nonce,
        outbox: emptyOutbox,
        output: 'x',
        error: undefined,
        gasUsed: 1n,
        stateRoot: anId('s'),
        stateNonce: 0 as Nonce,
      },
      { assignment: at(nonce), module: anId<ModuleId>('module'), meter: 'none-1', previousStateRoot: anId('p') },
    )
  const attest = async (fields: AttestationFields, by = 'cu'): Promise<Attestation> =>
    parseAttestation(await testSigner(by).sign(draftAttestation(fields)))

  before(async () => {
    const item = await aProcess()
    process = processIdOf(item)
    chain = (await schedule(item, await messages(item, 5))).map(({ assignment }) => assignment)
  })

  /** The fault as found, carried to somebody else and verified there. */
  async function proven(first: Assignment | Attestation, second?: Assignment | Attestation) {
    const found = findFault(first, second)
    assert.ok(found, 'a fault is found')
    const item = await testSigner('reporter').sign(draftEvidence(found))
    const received = parseEvidence(await verifyDataItem(item.raw))
    assert.deepEqual(received.proof.map(asBuffer), found.proof.map(asBuffer))
    assert.equal(evidenceDigest(received), evidenceDigest(found))
    return { guilt: await verifyEvidence(received), evidence: received }
  }

  it('F1: proves that one nonce was given to two messages, whoever reports and in whatever order', async () => {
    const fork = await sign({ ...at(2), message: anId<MessageId>('other') })
    const { guilt, evidence } = await proven(at(2), fork)
    assert.deepEqual(guilt, { kind: 'F1', unit: testSigner('su').address, process, epoch: 0, nonce: 2 })
    assert.equal(evidenceDigest((await proven(fork, at(2))).evidence), evidenceDigest(evidence))
  })

  it('F1b: proves a link that does not follow, and a first one that does not begin at the Process', async () => {
    const broken = await sign({ ...at(3), hashChain: anId('elsewhere') })
    assert.deepEqual((await proven(at(2), broken)).guilt, {
      kind: 'F1b',
      unit: testSigner('su').address,
      process,
      epoch: 0,
      nonce: 3,
    })
    const first = await sign({ ...at(0), hashChain: anId('elsewhere') })
    assert.deepEqual((await proven(first)).guilt, {
      kind: 'F1b',
      unit: testSigner('su').address,
      process,
      epoch: 0,
      nonce: 0,
    })
  })

  it('F1b: proves that time or height went back', async () => {
    for (const change of [{ timestamp: at(2).timestamp - 1 }, { blockHeight: at(2).blockHeight - 1 }]) {
      const { guilt } = await proven(await sign({ ...at(3), ...change }), at(2))
      assert.deepEqual([guilt.kind, guilt.nonce], ['F1b', 3])
    }
  })

  it('F1b: proves that one message has two nonces', async () => {
    const again = await sign({ ...at(5), message: at(1).message })
    const { guilt } = await proven(at(1), again)
    assert.deepEqual([guilt.kind, guilt.nonce], ['F1b', 5])
  })

  it('F5: proves every contradiction between two Attestations of one Assignment', async () => {
    const changes: readonly Partial<AttestationFields>[] = [
      { stateRoot: anId('x') },
      { previousStateRoot: anId('x') },
      { outboxRoot: anId('x') },
      { outboxCount: 1 },
      { outputHash: anId('x') },
      { gasUsed: 2n },
      { error: 'x' },
      { module: anId<ModuleId>('x') },
      { meter: 'x' },
      { hashChain: anId('x') },
    ]
    for (const change of changes) {
      const { guilt } = await proven(await attest(attested(2)), await attest({ ...attested(2), ...change }))
      assert.deepEqual(
        guilt,
        { kind: 'F5', unit: testSigner('cu').address, process, epoch: 0, nonce: 2 },
        JSON.stringify(Object.keys(change)),
      )
    }
  })

  it('F9: proves that an Assignment names a block that is not there, to whoever knows the one that is', async () => {
    const lie = falseAnchor(at(2), 'the block that is there')
    const item = await testSigner('reporter').sign(draftEvidence(lie))
    const received = parseEvidence(await verifyDataItem(item.raw))
    assert.deepEqual({ ...received, proof: received.proof.map(asBuffer) }, { ...lie, proof: lie.proof.map(asBuffer) })
    const guilt = { kind: 'F9', unit: testSigner('su').address, process, epoch: 0, nonce: 2 } as const
    assert.deepEqual(await verifyEvidence(received), guilt)
    const heights: number[] = []
    const judged = (hash: string | undefined, evidence = received) =>
      judgeEvidence(evidence, verifyPurely, height => {
        heights.push(height)
        return hash
      })
    assert.deepEqual(judged('another'), guilt)
    assert.deepEqual(heights, [at(2).blockHeight])
    assert.throws(() => judged(at(2).blockHash), { code: 'INVALID_RECORD' })
    assert.throws(() => judged(undefined), { code: 'NOT_READY' })
    assert.throws(() => judged('another', { ...received, proof: [at(1).raw, at(2).raw] }), { code: 'INVALID_RECORD' })
    assert.throws(() => judged('another', { ...received, unit: testSigner('victim').address }), {
      code: 'INVALID_RECORD',
    })
  })

  it('accuses no honest unit', async () => {
    for (const a of chain) {
      assert.equal(findFault(a), undefined)
      for (const b of chain) assert.equal(findFault(a, b), undefined, `${a.nonce} and ${b.nonce}`)
    }
    const attestation = await attest(attested(2))
    const innocent: readonly (readonly [what: string, a: Assignment | Attestation, b: Assignment | Attestation])[] = [
      ['two schedulers', at(2), await sign({ ...at(2), message: anId<MessageId>('other') }, 'another su')],
      ['two epochs', at(2), await sign({ ...at(2), epoch: 1, message: anId<MessageId>('other') })],
      [
        'two Processes',
        at(2),
        await sign({ ...at(2), process: anId<ProcessId>('p'), message: anId<MessageId>('other') }),
      ],
      ['far apart, where the log may have been handed over', at(1), await sign({ ...at(4), timestamp: 1 })],
      ['two CUs', attestation, await attest({ ...attested(2), stateRoot: anId('x') }, 'another cu')],
      ['two nonces', attestation, await attest(attested(3))],
      [
        'two Assignments of one nonce',
        attestation,
        await attest({ ...attested(2), assignment: anId('x'), stateRoot: anId('x') }),
      ],
      ['an SU and a CU', at(2), attestation],
    ]
    for (const [what, a, b] of innocent) {
      assert.equal(findFault(a, b), undefined, what)
      assert.equal(findFault(b, a), undefined, what)
      const proof = [a, b].sort((x, y) => (x.id < y.id ? -1 : 1)).map(({ raw }) => raw)
      for (const kind of ['F1', 'F1b', 'F5'] as const) {
        const evidence: Evidence = { kind, unit: 'scheduler' in a ? a.scheduler : a.compute, process, proof }
        await assert.rejects(verifyEvidence(evidence), { code: 'INVALID_RECORD' }, `${what} as ${kind}`)
      }
    }
  })

  it('does not take the same words signed twice, with another salt or other tags beside, for a contradiction', async () => {
    const twice = await testSigner('cu').sign({ ...draftAttestation(attested(2)), data: Buffer.from('note') })
    assert.equal(findFault(await attest(attested(2)), parseAttestation(twice)), undefined)
  })

  it('does not judge links of other variants by our rule', async () => {
    const draft = draftAssignment({ ...at(3), hashChain: anId('elsewhere') })
    const tags = draft.tags.map(tag => (tag.name === 'Variant' ? { ...tag, value: 'ao.N.1' } : tag))
    assert.equal(findFault(at(2), parseAssignment(await testSigner('su').sign({ ...draft, tags }))), undefined)
  })

  it('rejects evidence whose words do not fit its proof', async () => {
    const found = findFault(at(2), await sign({ ...at(2), message: anId<MessageId>('other') })) ?? assert.fail()
    const [first, second] = found.proof
    assert.ok(first && second)
    const forged = Buffer.from(first)
    forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 1
    const wrong: readonly (readonly [what: string, evidence: Evidence])[] = [
      ['another kind', { ...found, kind: 'F5' }],
      ['another unit', { ...found, unit: testSigner('victim').address }],
      ['another Process', { ...found, process: anId<ProcessId>('other') }],
      ['one half', { ...found, proof: [first] }],
      ['the same twice', { ...found, proof: [first, first] }],
      ['three', { ...found, proof: [first, second, first] }],
      ['nothing', { ...found, proof: [] }],
      ['the other order', { ...found, proof: [second, first] }],
      ['a changed item', { ...found, proof: [forged, second] }],
      ['a message', { ...found, proof: [first, (await anItem()).raw] }],
      ['garbage', { ...found, proof: [first, Buffer.from('garbage')] }],
      ['a huge item', { ...found, proof: [first, Buffer.alloc(20_000)] }],
    ]
    assert.equal((await verifyEvidence(found)).kind, 'F1')
    for (const [what, evidence] of wrong)
      await assert.rejects(verifyEvidence(evidence), { code: 'INVALID_RECORD' }, what)
  })

  it('says INVALID_RECORD for items that are no Evidence', async () => {
    const found = findFault(at(2), await sign({ ...at(2), message: anId<MessageId>('other') })) ?? assert.fail()
    const draft = draftEvidence(found)
    for (const name of ['Type', 'Kind', 'Unit', 'Process']) {
      const without = await anItem({ ...draft, tags: draft.tags.filter(tag => tag.name !== name) })
      assert.throws(() => parseEvidence(without), { code: 'INVALID_RECORD' }, `without ${name}`)
      const odd = await anItem({
        ...draft,
        tags: draft.tags.map(tag => (tag.name === name ? { name, value: 'odd' } : tag)),
      })
      assert.throws(() => parseEvidence(odd), { code: 'INVALID_RECORD' }, `odd ${name}`)
    }
    const odd = await anItem({ ...draft, data: Buffer.from('no bundle') })
    assert.throws(() => parseEvidence(odd), { code: 'INVALID_RECORD' })
  })
})

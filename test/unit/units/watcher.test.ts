import assert from 'node:assert/strict'
import { type Logger, silentLogger, silentTelemetry } from '../../../src/lib/telemetry.ts'
import { type MemoryGossip, MemoryGossipHub } from '../../../src/network/memory-gossip.ts'
import { type Assignment, draftAssignment, parseAssignment } from '../../../src/protocol/assignment.ts'
import { type AttestationFields, draftAttestation } from '../../../src/protocol/attestation.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import { verifyEvidence } from '../../../src/protocol/evidence.ts'
import type { Nonce } from '../../../src/protocol/ids.ts'
import type { Signer } from '../../../src/protocol/keys.ts'
import { testnetParams } from '../../../src/protocol/params.ts'
import { defaultWatcherOptions, Watcher } from '../../../src/units/watcher/watcher.ts'
import { anId, anItem, aProcess, messages, schedule, testSigner } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { aRecord, MemoryNetwork } from '../../support/memory-network.ts'

describe('units/watcher', () => {
  let hub: MemoryGossipHub
  let peer: MemoryGossip
  let watcher: Watcher
  let assignments: Assignment[]
  let told: Assignment[]
  let events: string[]

  const log: Logger = {
    ...silentLogger,
    error: event => void events.push(`error ${event}`),
    warn: event => void events.push(`warn ${event}`),
  }
  const spread = async (topic: 'assignments' | 'attestations', ...items: Uint8Array[]): Promise<string[]> => {
    const before = hub.verdicts.length
    for (const bytes of items) await peer.publish(topic, bytes)
    await hub.settled()
    return hub.verdicts.slice(before).map(({ verdict }) => verdict)
  }
  const attest = (changes: Partial<AttestationFields> = {}, name = 'cu'): Promise<DataItem> =>
    testSigner(name).sign(
      draftAttestation({
        ...{
          process: anId('p'),
          epoch: 0,
          nonce: 3 as Nonce,
          cron: undefined,
          assignment: anId('a'),
          hashChain: anId('h'),
        },
        ...{ module: anId('m'), meter: testnetParams.meter, previousStateRoot: anId('0'), stateRoot: anId('1') },
        stateNonce: 0 as Nonce,
        ...{ outboxRoot: anId('o'), outboxCount: 0, outputHash: anId('out'), gasUsed: 1n, error: 'none' },
        ...changes,
      }),
    )
  /** Another Assignment for the same nonce. */
  const fork = async (of: Assignment): Promise<DataItem> =>
    testSigner('su').sign(draftAssignment({ ...of, message: anId('another message'), nonce: of.nonce }))

  beforeEach(async () => {
    hub = new MemoryGossipHub()
    peer = hub.join('peer')
    told = []
    events = []
    const directory = new MemoryNetwork()
    directory.join(aRecord(testSigner('su').address, ['SU']))
    directory.join(aRecord(testSigner('cu').address, ['CU']))
    directory.join(aRecord(testSigner('cu2').address, ['CU']))
    watcher = new Watcher(
      {
        ...{ gossip: hub.join('me'), directory, telemetry: { ...silentTelemetry, log } },
        onAssignment: assignment => void told.push(assignment),
      },
      { ...defaultWatcherOptions, maxEvidence: 2 },
    )
    await watcher.start()
    const item = await aProcess()
    assignments = (await schedule(item, await messages(item, 5))).map(({ assignment }) => assignment)
  })
  afterEach(() => watcher.stop())

  it('passes good statements on and tells of each new Assignment', async () => {
    assert.deepEqual(await spread('assignments', ...assignments.map(({ raw }) => raw)), Array(6).fill('accept'))
    assert.deepEqual(
      told.map(({ id }) => id),
      assignments.map(({ id }) => id),
    )
    assert.deepEqual(await spread('attestations', (await attest()).raw), ['accept'])
    assert.deepEqual(watcher.evidence(), [])
  })

  it('rejects what is no statement, and ignores units that nobody advertised', async () => {
    const [first] = assignments
    assert.ok(first)
    const changed = Uint8Array.from(first.raw)
    changed[100] = (changed[100] ?? 0) ^ 1
    const plain = await anItem({}, testSigner('su'))
    const huge = await anItem({ data: new Uint8Array(9_000) }, testSigner('su'))
    const bad = [Uint8Array.of(1, 2), changed, plain.raw, huge.raw]
    assert.deepEqual(await spread('assignments', ...bad), Array(4).fill('reject'))
    assert.deepEqual(await spread('attestations', plain.raw, first.raw), ['reject', 'reject'])
    const stranger = await schedule(await aProcess(), [], { scheduler: testSigner('stranger') })
    assert.deepEqual(await spread('assignments', ...stranger.map(({ assignment }) => assignment.raw)), ['ignore'])
    const notCompute = await attest({}, 'su')
    assert.deepEqual(await spread('attestations', notCompute.raw), ['ignore'])
    assert.deepEqual(told, [])
  })

  it('keeps two Assignments of one nonce as evidence, once, and spreads both', async () => {
    const [, , third] = assignments
    assert.ok(third)
    const [a, b] = [await fork(third), await testSigner('su').sign(draftAssignment({ ...third, timestamp: 9 ** 15 }))]
    assert.deepEqual(await spread('assignments', third.raw, a.raw, b.raw), ['accept', 'accept', 'ignore'])
    const [evidence, ...more] = watcher.evidence()
    assert.deepEqual(more, [])
    assert.equal(evidence?.kind, 'F1')
    assert.equal(evidence?.unit, testSigner('su').address)
    assert.ok(evidence)
    assert.equal((await verifyEvidence(evidence)).nonce, 2)
    assert.deepEqual(events, ['error equivocation'])
    assert.equal(told.length, 1)
  })

  it('keeps a broken link between two neighbours as evidence, in whichever order they come', async () => {
    const [, second, third, , fifth, sixth] = assignments
    assert.ok(second && third && fifth && sixth)
    const broken = await testSigner('su').sign(draftAssignment({ ...third, hashChain: anId('nothing before') }))
    assert.deepEqual(await spread('assignments', second.raw, broken.raw), ['accept', 'accept'])
    assert.equal(watcher.evidence()[0]?.kind, 'F1b')
    const early = await testSigner('su').sign(draftAssignment({ ...fifth, timestamp: sixth.timestamp + 1 }))
    assert.deepEqual(await spread('assignments', sixth.raw, early.raw), ['accept', 'accept'])
    assert.equal(watcher.evidence()[1]?.kind, 'F1b')
    assert.equal(told.length, 2)
  })

  it('finds out an SU that answers or shows one thing and tells all another, in whichever order', async () => {
    const [, second, third, fourth] = assignments
    assert.ok(second && third && fourth)
    watcher.onShown(second)
    await spread('assignments', second.raw, third.raw)
    watcher.onShown(third)
    assert.deepEqual(watcher.evidence(), [])
    const proven = async (count: number): Promise<string[]> => {
      await eventually('it is proven', async () => watcher.evidence().length === count)
      return Promise.all(watcher.evidence().map(async one => (await verifyEvidence(one)).kind))
    }
    const other = parseAssignment(await fork(third))
    const heard: Uint8Array[] = []
    peer.subscribe('assignments', async bytes => {
      heard.push(bytes)
      return 'accept'
    })
    watcher.onShown(other)
    watcher.onShown(other)
    assert.deepEqual(await proven(1), ['F1'])
    await hub.settled()
    assert.equal(heard.length, 1, 'what the others have not heard is told to all')
    watcher.onShown(parseAssignment(await fork(fourth)))
    await spread('assignments', fourth.raw)
    assert.deepEqual(await proven(2), ['F1', 'F1'])
  })

  it('finds out a log that does not link where it is read, and believes no signature unseen', async () => {
    const [, second, third] = assignments
    assert.ok(second && third)
    const sign = async (signer: Signer): Promise<Assignment> =>
      parseAssignment(await signer.sign(draftAssignment({ ...third, hashChain: anId('elsewhere') })))
    const forged = { ...(await sign(testSigner('mallory'))), scheduler: third.scheduler }
    watcher.onShown(forged, second)
    await new Promise(resolve => setTimeout(resolve, 50))
    assert.deepEqual([watcher.evidence(), events], [[], ['warn contradiction-not-proven']])
    watcher.onShown(await sign(testSigner('su')), second)
    await eventually('it is proven', async () => watcher.evidence().length === 1)
    assert.equal((await verifyEvidence(watcher.evidence()[0] ?? assert.fail())).kind, 'F1b')
  })

  it('keeps two contradicting Attestations of one CU as evidence', async () => {
    const [first, second] = [await attest(), await attest({ stateRoot: anId('2') })]
    assert.deepEqual(await spread('attestations', first.raw, second.raw), ['accept', 'accept'])
    assert.equal(watcher.evidence()[0]?.kind, 'F5')
    assert.deepEqual(events, ['error equivocation'])
  })

  it('does not accuse a CU because the SU gave one nonce twice', async () => {
    await spread('attestations', (await attest()).raw, (await attest({ assignment: anId('b') })).raw)
    assert.deepEqual(watcher.evidence(), [])
  })

  it('warns when two CUs differ about one nonce, and accuses neither', async () => {
    await spread('attestations', (await attest()).raw, (await attest({}, 'cu2')).raw)
    assert.deepEqual(events, [])
    await spread('attestations', (await attest({ nonce: 4 as Nonce })).raw)
    await spread('attestations', (await attest({ nonce: 4 as Nonce, outboxRoot: anId('x') }, 'cu2')).raw)
    assert.deepEqual(events, ['warn divergence'])
    assert.deepEqual(watcher.evidence(), [])
  })

  it('keeps only so much evidence', async () => {
    for (const assignment of assignments.slice(1))
      await spread('assignments', assignment.raw, (await fork(assignment)).raw)
    assert.equal(watcher.evidence().length, 2)
    assert.equal(events.length, 5)
  })

  it('judges nothing more once stopped', async () => {
    await watcher.stop()
    assert.deepEqual(await spread('assignments', ...assignments.map(({ raw }) => raw)), [])
  })
})

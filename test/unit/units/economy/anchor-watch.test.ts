import assert from 'node:assert/strict'
import { MemoryArweave } from '../../../../src/arweave/memory-arweave.ts'
import { commitmentOf } from '../../../../src/economy/commits.ts'
import { headerAt } from '../../../../src/economy/oracle.ts'
import { silentTelemetry } from '../../../../src/lib/telemetry.ts'
import { type Assignment, draftAssignment, parseAssignment } from '../../../../src/protocol/assignment.ts'
import { type Evidence, evidenceDigest, verifyEvidence } from '../../../../src/protocol/evidence.ts'
import { AnchorWatch, defaultAnchorWatchOptions } from '../../../../src/units/economy/anchor-watch.ts'
import { aProcess, schedule, testSigner } from '../../../support/builders.ts'
import { Court } from '../../../support/court.ts'
import { addressOf, dataOf, originId, originParams } from '../../../support/origin.ts'

const names = ['oracle1', 'oracle2', 'oracle3', 'reporter'] as const

describe('units/economy: blocks that SUs name', () => {
  const su = testSigner('su')
  let court: Court
  let arweave: MemoryArweave
  let honest: Assignment
  let found: Evidence[]
  let spread: Uint8Array[]
  let watches: readonly AnchorWatch[]

  beforeEach(async () => {
    court = new Court()
    arweave = new MemoryArweave({ startHeight: court.mail.height })
    for (const [name, action, fields] of [
      ['faucet', 'Transfer', { Recipient: addressOf('owner'), Quantity: '2000000000000000' }],
      ['faucet', 'Transfer', { Recipient: addressOf('reporter'), Quantity: '20000000000000' }],
      ['owner', 'Stake', { Role: 'SU', Operator: su.address, Quantity: '1000000000000000' }],
      ['su', 'Register-Operator', { Role: 'SU', 'Owner-Account': addressOf('owner') }],
    ] as const)
      court.act(name, action, fields)
    const [first] = await schedule(await aProcess(), [], { block: await arweave.head() })
    honest = first?.assignment ?? assert.fail()
    found = []
    spread = []
    watches = names.map(name => watch(name))
  })

  function watch(name: string, options = defaultAnchorWatchOptions): AnchorWatch {
    const deps = {
      address: testSigner(name).address,
      origin: originId,
      economy: court,
      arweave,
      telemetry: silentTelemetry,
    }
    return new AnchorWatch(
      {
        ...deps,
        mail: court.mailOf(name, arweave),
        gossip: { publish: async (_, ...items) => void spread.push(...items) },
        onEvidence: evidence => void found.push(evidence),
      },
      options,
    )
  }

  /** Blocks pass, and everybody looks. */
  async function pass(blocks: number, all = watches): Promise<void> {
    for (let i = 0; i < blocks; i++) arweave.mine()
    court.mail.height += blocks
    court.act('faucet', 'Execute-Slash')
    for (const one of all) await one.tick()
  }

  const naming = async (changes: Partial<Assignment>, by = su): Promise<Assignment> =>
    parseAssignment(await by.sign(draftAssignment({ ...honest, ...changes })))
  const reports = (): number => court.actions.filter(action => action === 'Header-Report').length

  it('are right where an SU is honest: nothing is said, and none is looked at twice', async () => {
    for (const one of watches) one.onAssignment(honest)
    await pass(1)
    await pass(5)
    assert.deepEqual([found, spread, reports()], [[], [], 0])
    const calls: number[] = []
    const { block } = arweave
    arweave.block = async (height, options) => {
      calls.push(height)
      return block.call(arweave, height, options)
    }
    for (const one of watches) one.onAssignment(honest)
    await pass(1)
    assert.deepEqual(calls, [])
  })

  it('are reported where they are false, and prove it once enough of the reporters agree', async () => {
    const lie = await naming({ blockHash: 'x'.repeat(64) })
    for (const one of watches) one.onAssignment(lie)
    await pass(1)
    assert.equal(reports(), 0, 'it is not settled yet')
    await pass(2)
    assert.deepEqual([reports(), spread.length], [3, 4], 'each reporter once, and everybody tells the others')
    const block = headerAt(court.state, lie.blockHeight)
    assert.equal(block, (await arweave.block(lie.blockHeight))?.hash)
    await pass(1)
    assert.equal(reports(), 3)
    assert.equal(found.length, names.length)
    const evidence = found[0] ?? assert.fail()
    assert.deepEqual(await verifyEvidence(evidence), {
      ...{ kind: 'F9', unit: su.address, process: lie.process, epoch: 0, nonce: 0 },
    })

    // What the desk does with it.
    const digest = evidenceDigest(evidence)
    court.act('reporter', 'Commit-Evidence', { Digest: commitmentOf(digest, 'salt', addressOf('reporter')) })
    court.mail.height += originParams.commitMinBlocks
    const fields = { Kind: 'F9', Unit: evidence.unit, Process: evidence.process, Salt: 'salt' }
    court.act('reporter', 'Submit-Evidence', fields, dataOf(...evidence.proof))
    assert.deepEqual(court.verdicts, ['F9'])
    assert.equal(court.standing('SU', su.address), 'jailed')

    // It pays once: more of the same is not looked for.
    const again = await naming({ blockHash: 'y'.repeat(64), blockHeight: court.mail.height - 2 })
    for (const one of watches) one.onAssignment(again)
    await pass(1)
    assert.deepEqual([reports(), found.length], [3, names.length])
  })

  it('are let go of where the reporters know them, whatever this node’s gateway says', async () => {
    const [first] = watches
    const odd = await naming({ blockHash: 'z'.repeat(64) })
    for (const name of ['oracle1', 'oracle2', 'oracle3'])
      court.act(name, 'Header-Report', { Height: String(odd.blockHeight), Hash: odd.blockHash })
    first?.onAssignment(odd)
    await pass(3)
    await pass(1)
    assert.deepEqual([found, reports()], [[], 0])
  })

  it('are not looked at where nothing is at stake, nor more of one SU than there is room for', async () => {
    const only = watch('oracle1', { ...defaultAnchorWatchOptions, maxOfOne: 2 })
    const stranger = testSigner('stranger')
    only.onAssignment(await naming({ blockHash: 'x'.repeat(64), scheduler: stranger.address }, stranger))
    for (const letter of 'abcd') only.onAssignment(await naming({ blockHash: letter.repeat(64) }))
    await pass(3, [only])
    assert.equal(spread.length, 2)
    assert.equal(reports(), 1, 'one word for one height')
    await pass(originParams.evidenceAgeBlocks, [only])
    only.onAssignment(await naming({ blockHash: 'e'.repeat(64), blockHeight: court.mail.height - 2 }))
    await pass(1, [only])
    assert.equal(spread.length, 3, 'what is too old to prove makes room')
  })
})

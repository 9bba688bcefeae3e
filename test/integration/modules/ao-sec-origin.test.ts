import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { audit } from '../../../src/economy/audit.ts'
import { commitmentOf } from '../../../src/economy/commits.ts'
import { mintedSoFar } from '../../../src/economy/emission.ts'
import { standingOf } from '../../../src/economy/operators.ts'
import { poolOf } from '../../../src/economy/pools.ts'
import { oneAo } from '../../../src/economy/quantity.ts'
import type { Json } from '../../../src/lib/json.ts'
import type { OriginMessage } from '../../../src/modules/ao-sec-origin/message.ts'
import { originBundleFile, originFormat } from '../../../src/modules/ao-sec-origin/module.ts'
import { Origin } from '../../../src/modules/ao-sec-origin/origin.ts'
import type { LiveProcess, VmEnvironment, VmMessage } from '../../../src/ports/vm.ts'
import {
  type Assignment,
  draftAssignment,
  parseAssignment,
  type ScheduledMessage,
} from '../../../src/protocol/assignment.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import { draftPromise } from '../../../src/protocol/delivery-promise.ts'
import { evidenceDigest, falseAnchor, findFault } from '../../../src/protocol/evidence.ts'
import type { Address, MessageId } from '../../../src/protocol/ids.ts'
import { generateKey, signerFromJwk } from '../../../src/protocol/keys.ts'
import { resultToJson } from '../../../src/protocol/result.ts'
import { aMessage, anId, aProcess, messages, processIdOf, schedule, testSigner } from '../../support/builders.ts'
import { Pools } from '../../support/modules/pools.ts'
import { mebibytes, setupOf } from '../../support/modules/process.ts'
import {
  accusation,
  addressOf,
  dataOf,
  OriginMessages,
  originEnvironment,
  originId,
  originParams,
} from '../../support/origin.ts'

/** In cycles. */
const thirtyTwoYears = 3_366_144
interface Vectors {
  readonly profiles: { readonly 'halving-4y': { readonly points: readonly { n: number; cumulative: string }[] } }
}

describe('AO-Sec Origin in QuickJS and natively', function () {
  this.timeout(120_000)
  const pools = new Pools()
  const mail = new OriginMessages()
  const native = new Origin()
  let guest: LiveProcess
  let victim: DataItem
  let log: readonly ScheduledMessage[]
  const at = (nonce: number): Assignment => log[nonce]?.assignment ?? assert.fail(`no nonce ${nonce}`)
  let mostGas = 0n

  before(async () => {
    const pool = await pools.start()
    const setup = setupOf(originId, {
      bytes: await readFile(originBundleFile),
      format: originFormat,
      memoryBytes: mebibytes(128),
    })
    const environment = {
      ...setup.environment,
      Process: { ...setup.environment.Process, ...originEnvironment.Process },
    }
    guest = await pool.open({
      ...setup,
      environment: environment as VmEnvironment,
      limits: { ...setup.limits, gas: 10n ** 11n },
    })
    await both(mail.spawn())
    victim = await aProcess({ data: 'a process of somebody' })
    log = await schedule(victim, await messages(victim, 4))
  })
  after(() => pools.stop())

  /** Both have to say the same of every message, down to the byte. @returns the actions that were sent out. */
  async function both(message: OriginMessage): Promise<readonly string[]> {
    const answer = native.handle(message, originEnvironment)
    const { evaluation } = await guest.handle(message as unknown as VmMessage)
    const { GasUsed: _, ...inGuest } = resultToJson(evaluation) as Record<string, Json>
    assert.deepEqual(inGuest, JSON.parse(JSON.stringify(answer)), `message ${message.Nonce}`)
    if (evaluation.gasUsed > mostGas) mostGas = evaluation.gasUsed
    if (native.state !== undefined) assert.equal(audit(native.state).missing, 0n, `message ${message.Nonce}`)
    return answer.Messages.map(({ Tags }) => Tags.find(({ name }) => name === 'Action')?.value ?? '')
  }

  async function sent(
    from: string,
    action: string,
    tags: Record<string, string> = {},
    data = '',
  ): Promise<readonly string[]> {
    return both(mail.next(from, action, tags, data))
  }

  /** The whole state, by its hash, which the guest computes for itself. */
  async function equalStates(): Promise<void> {
    assert.deepEqual(await sent('anyone', 'State-Hash'), ['State-Hash'])
  }

  const state = () => native.state ?? assert.fail('no state')
  const su = testSigner('su').address
  const heir = testSigner('su2').address

  it('mint, transfer and refuse alike, and the supply is what the schedule says', async () => {
    assert.deepEqual(await sent('anyone', 'Mint'), ['Mint-Notice'])
    assert.equal(state().emission.value.cycle, 10_003)
    for (const name of ['owner', 'reporter', 'heirs-owner']) {
      const tags = { Recipient: addressOf(name), Quantity: String(2000n * oneAo), 'X-Note': 'ü → 💧' }
      assert.deepEqual(await sent('faucet', 'Transfer', tags), ['Debit-Notice', 'Credit-Notice'])
    }
    const refused = [
      { Recipient: addressOf('b'), Quantity: '1.5' },
      { Recipient: addressOf('b'), Quantity: '-1' },
      { Recipient: addressOf('b'), Quantity: '0' },
      { Recipient: '__proto__', Quantity: '1' },
      { Recipient: 'a b', Quantity: '1' },
      { Recipient: addressOf('b'), Quantity: '9'.repeat(30) },
      { Quantity: '1' },
    ]
    for (const tags of refused) assert.deepEqual(await sent('nobody', 'Transfer', tags), ['Transfer-Error'])
    assert.deepEqual(await sent('anyone', 'Mint', { Quantity: '1' }), ['Mint-Error'])
    assert.deepEqual(await sent('anyone', 'Nonsense'), ['Nonsense-Error'])
    for (const query of ['Info', 'Balance', 'Balances', 'Total-Supply', 'Params', 'Slashes']) await sent('owner', query)
    await equalStates()
  })

  it('believe no message that claims to come from a Process unless a trusted MU pushed it', async () => {
    const message = mail.next('stranger', 'Transfer', { Recipient: addressOf('stranger'), Quantity: '1' })
    assert.deepEqual(await both({ ...message, From: addressOf('owner') }), ['Transfer-Error'])
  })

  it('bond, register and become active alike', async () => {
    const stake = (operator: string) => ({ Role: 'SU', Operator: operator, Quantity: String(1000n * oneAo) })
    assert.deepEqual(await sent('owner', 'Stake', stake(su)), ['Stake-Notice'])
    const viaTransfer = { 'X-Action': 'Stake', 'X-Role': 'SU', 'X-Operator': heir, Quantity: String(1500n * oneAo) }
    assert.deepEqual(await sent('heirs-owner', 'Transfer', { Recipient: originId, ...viaTransfer }), ['Stake-Notice'])
    assert.deepEqual(await sent('su', 'Register-Operator', { Role: 'SU' }), ['Register-Operator-Error'])
    await sent('su', 'Register-Operator', { Role: 'SU', 'Owner-Account': addressOf('owner'), Commission: '500' })
    await sent('su2', 'Register-Operator', { Role: 'SU', 'Owner-Account': addressOf('heirs-owner') })
    mail.height += 10
    await sent('anyone', 'Mint')
    assert.equal(standingOf(state(), 'SU', su), 'active')
    assert.equal(standingOf(state(), 'SU', heir), 'active')
    await sent('anyone', 'Operators')
    await equalStates()
  })

  it('hold an SU to what it is asked for in front of everybody, and take its answer', async () => {
    const waiting = await aMessage(victim, { data: 'order me' })
    const tags = { Kind: 'F3', Accused: su }
    assert.deepEqual(
      await sent('reporter', 'Challenge', { Kind: 'F3', Accused: heir }, dataOf(waiting.raw, victim.raw)),
      ['Challenge-Error'],
    )
    const challenge = mail.next('reporter', 'Challenge', tags, dataOf(waiting.raw, victim.raw))
    assert.deepEqual(await both(challenge), ['Challenge-Notice', 'Challenge-Notice'])
    const answer = await testSigner('su').sign(draftAssignment({ ...at(4), nonce: 5 as never, message: waiting.id }))
    assert.deepEqual(await sent('su', 'Respond', { Challenge: challenge.Id }, dataOf(at(4).raw)), ['Respond-Error'])
    assert.deepEqual(await sent('su', 'Respond', { Challenge: challenge.Id }, dataOf(answer.raw)), [
      'Response-Notice',
      'Respond-Notice',
    ])
    await equalStates()
  })

  it('ask an MU for what it promised, and the SU in its place once the MU has shown the message', async () => {
    const waiting = await aMessage(victim, { data: 'deliver me' })
    const ofProcess = { process: processIdOf(victim), message: waiting.id as string as MessageId }
    const promise = await testSigner('mu').sign(draftPromise({ ...ofProcess, deadline: mail.height }))
    const asked = async (): Promise<string> => {
      const challenge = mail.next('reporter', 'Challenge', { Kind: 'F8' }, dataOf(promise.raw))
      assert.deepEqual(await both(challenge), ['Challenge-Notice', 'Challenge-Notice'])
      return challenge.Id
    }
    assert.deepEqual(await sent('reporter', 'Challenge', { Kind: 'F8' }, dataOf(promise.raw)), ['Challenge-Error'])
    mail.height += 1
    const Challenge = await asked()
    assert.deepEqual(await sent('reporter', 'Respond', { Challenge }, dataOf(waiting.raw, victim.raw)), [
      'Respond-Error',
    ])
    const passed = mail.next('mu', 'Respond', { Challenge }, dataOf(waiting.raw, victim.raw))
    assert.deepEqual(await both(passed), ['Response-Notice', 'Challenge-Notice', 'Respond-Notice'])
    await equalStates()
    const order = await testSigner('su').sign(draftAssignment({ ...at(4), nonce: 6 as never, message: waiting.id }))
    const answered = ['Response-Notice', 'Respond-Notice']
    assert.deepEqual(await sent('su', 'Respond', { Challenge: passed.Id }, dataOf(order.raw)), answered)
    assert.deepEqual(await sent('mu', 'Respond', { Challenge: await asked() }, dataOf(order.raw, victim.raw)), answered)
    assert.equal(state().challenges.size, 0)
    await equalStates()
  })

  it('prove, slash and replace an SU that signed twice, to the last armstrong', async () => {
    const second = parseAssignment(
      await testSigner('su').sign(draftAssignment({ ...at(2), message: anId<MessageId>('another message') })),
    )
    const evidence = findFault(at(2), second) ?? assert.fail('no fault')
    const { commit, submit, data } = accusation(evidence, 'reporter')
    assert.deepEqual(await sent('thief', 'Submit-Evidence', submit, data), ['Submit-Evidence-Error'], 'no commitment')
    assert.deepEqual(await sent('reporter', 'Commit-Evidence', commit), ['Commit-Notice'])
    mail.height += originParams.commitMinBlocks
    const before = state().balances.get(addressOf('reporter')) ?? 0n
    assert.deepEqual(await sent('reporter', 'Submit-Evidence', { ...submit, Selected: at(2).id }, data), [
      'Conviction-Notice',
      'Evidence-Notice',
    ])
    assert.equal(standingOf(state(), 'SU', su), 'tombstoned')

    // Its Process goes to whoever bids, from the last Assignment of the branch that counts.
    const bid = `${dataOf(victim.raw, at(2).raw, at(4).raw)}.${at(3).id}`
    assert.deepEqual(
      await sent('su2', 'Host-Bid', {}, dataOf(victim.raw, second.raw)),
      ['Host-Bid-Error'],
      'the other branch',
    )
    const gap = dataOf(victim.raw, at(2).raw, at(4).raw)
    assert.deepEqual(await sent('su2', 'Host-Bid', {}, gap), ['Host-Bid-Error'], 'a link is missing')
    assert.deepEqual(await sent('su2', 'Host-Bid', {}, `${gap}.${at(2).id}`), ['Host-Bid-Error'], 'another link')
    assert.deepEqual(await sent('su2', 'Host-Bid', {}, bid), ['Bid-Notice'])
    mail.height += Math.max(originParams.biddingBlocks, originParams.slashDelayBlocks)
    assert.deepEqual(await sent('anyone', 'Execute-Slash'), [
      'Slash-Notice',
      'Slash-Notice',
      'Slash-Notice',
      'Host-Notice',
    ])

    const slashed = 500n * oneAo
    assert.equal(poolOf(state(), 'SU', su as Address).tokens, 500n * oneAo)
    const reward = (slashed * 5n) / 100n
    assert.equal(state().balances.get(addressOf('reporter')), before + reward + 5n * oneAo, 'the reward and its bond')
    assert.equal(state().funds.value.insurance, (slashed * 45n) / 100n)
    const host = state().hosts.get(processIdOf(victim)) ?? assert.fail('no host')
    assert.deepEqual([host.scheduler, host.epoch, host.head?.nonce], [heir, 1, 4])
    await sent('anyone', 'Host', { Process: processIdOf(victim) })
    const Process = processIdOf(victim)
    assert.deepEqual(await sent('anyone', 'Host-Ready', { Process }), ['Host-Ready-Error'])
    assert.deepEqual(await sent('su2', 'Host-Ready', { Process }), ['Ready-Notice'])
    mail.height += 2 * originParams.publicationBlocks + originParams.responseBlocks
    await sent('anyone', 'Execute-Slash')
    assert.equal(state().hosts.get(Process)?.winnerBond, undefined, 'the bond of the bid is back')
    assert.equal(state().hosts.get(Process)?.scheduler, heir)
    await sent('anyone', 'Slashes')
    await equalStates()
  })

  it('let the new host answer with what the old one had signed', async () => {
    const [first, second] = [log[1]?.message, log[2]?.message]
    if (first === undefined || second === undefined) assert.fail('no messages')
    const ask = async (kind: 'F2' | 'F3', shown: Uint8Array): Promise<string> => {
      const asked = mail.next('reporter', 'Challenge', { Kind: kind, Accused: heir }, dataOf(shown, victim.raw))
      assert.deepEqual(await both(asked), ['Challenge-Notice', 'Challenge-Notice'], kind)
      return asked.Id
    }
    const answered = ['Response-Notice', 'Respond-Notice']
    const leftOut = await ask('F3', first.raw)
    assert.deepEqual(await sent('su2', 'Respond', { Challenge: leftOut }, dataOf(at(1).raw)), answered)
    mail.height = at(2).blockHeight + originParams.publicationBlocks
    const unseen = await ask('F2', at(2).raw)
    assert.deepEqual(await sent('su2', 'Respond', { Challenge: unseen }, dataOf(at(2).raw, second.raw)), answered)
    assert.equal(state().challenges.size, 0)
    assert.equal(standingOf(state(), 'SU', heir), 'active')
    await equalStates()
  })

  it('believe two thirds and more of the reporters about holdings and blocks, and prove a false anchor by that', async () => {
    await sent('anyone', 'Mint')
    const cycle = String(state().emission.value.cycle)
    const before = state().resources.get('AR')?.quantity ?? 0n
    const tags = { Resource: 'AR', Cycle: cycle, Total: String(before + 5n) }
    const data = JSON.stringify({ deltas: [[addressOf('holder'), '5']] })
    assert.deepEqual(await sent('stranger', 'Oracle-Report', tags, data), ['Oracle-Report-Error'])
    assert.deepEqual(await sent('oracle1', 'Oracle-Report', { ...tags, Cycle: '99999999' }, data), [
      'Oracle-Report-Error',
    ])
    for (const name of ['oracle1', 'oracle2']) await sent(name, 'Oracle-Report', tags, data)
    assert.deepEqual(await sent('oracle2', 'Oracle-Report', tags, data), ['Oracle-Report-Error'], 'one word each')
    assert.equal(state().resources.get('AR')?.quantity, before)
    assert.deepEqual(await sent('oracle3', 'Oracle-Report', tags, data), ['Report-Notice'])
    assert.equal(state().resources.get('AR')?.quantity, before + 5n)

    const process = processIdOf(await aProcess({ data: 'of an SU that names blocks at will' }))
    const lie = parseAssignment(await testSigner('su3').sign(draftAssignment({ ...at(3), process })))
    const [Height, evidence] = [lie.blockHeight, falseAnchor(lie, 'another block')]
    mail.height = Math.max(mail.height, Height + 1)
    const digest = evidenceDigest(evidence)
    await sent('reporter', 'Commit-Evidence', { Digest: commitmentOf(digest, 'salt', addressOf('reporter')) })
    mail.height += originParams.commitMinBlocks
    const submit = { Kind: 'F9', Unit: lie.scheduler, Process: process, Salt: 'salt' }
    const accuse = () => sent('reporter', 'Submit-Evidence', submit, dataOf(lie.raw))
    assert.deepEqual(await accuse(), ['Submit-Evidence-Error'], 'nobody has told of that block')
    const header = { Height: String(Height), Hash: 'another block' }
    for (const name of ['oracle1', 'oracle2', 'oracle3']) await sent(name, 'Header-Report', header)
    assert.deepEqual(await sent('oracle1', 'Header-Report', header), ['Header-Report-Error'])
    assert.deepEqual(await accuse(), ['Conviction-Notice', 'Evidence-Notice'])
    await equalStates()
  })

  it('reject what proves nothing, whatever the signature, and keep the bond', async () => {
    const rsa = signerFromJwk(generateKey('rsa'))
    const honest = { kind: 'F1', unit: rsa.address, process: processIdOf(victim) } as const
    const items = await Promise.all([at(2), at(3)].map(fields => rsa.sign(draftAssignment(fields))))
    const proof = items.sort((a, b) => (a.id < b.id ? -1 : 1)).map(({ raw }) => raw)
    const { commit, submit, data } = accusation({ ...honest, proof }, 'reporter')
    const before = state().funds.value.burned
    await sent('reporter', 'Commit-Evidence', commit)
    mail.height += originParams.commitMinBlocks
    assert.deepEqual(await sent('reporter', 'Submit-Evidence', submit, data), ['Evidence-Error'])
    assert.equal(state().funds.value.burned - before, 5n * oneAo, 'nobody owns that unit, so all burns')
    await equalStates()
  })

  it('a Mint with all its cycles and the dearest evidence stay far below the gas of a message', () => {
    assert.ok(mostGas < 40_000_000_000n, `${mostGas} gas`)
  })

  it('mint what the vectors say, at each of their points up to 32 years', async function () {
    if (process.env['AONET_SLOW_TESTS'] !== '1') this.skip()
    this.timeout(1_200_000)
    const vectors = JSON.parse(await readFile('test/vectors/economy/emission.json', 'utf8')) as Vectors
    const points = vectors.profiles['halving-4y'].points.filter(
      ({ n }) => n > state().emission.value.cycle && n <= thirtyTwoYears,
    )
    assert.equal(points.at(-1)?.n, thirtyTwoYears)
    for (const { n, cumulative } of points) {
      const { genesisMs, cycleMs } = originParams.emission
      mail.timestamp = genesisMs + n * cycleMs
      while (state().emission.value.cycle < n) await sent('anyone', 'Mint')
      assert.equal(String(mintedSoFar(state().emission.value)), cumulative, `at cycle ${n}`)
    }
    await equalStates()
  })
})

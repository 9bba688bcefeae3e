import assert from 'node:assert/strict'
import { oneAo } from '../../../src/economy/quantity.ts'
import { silentTelemetry } from '../../../src/lib/telemetry.ts'
import { packBundle } from '../../../src/protocol/bundle.ts'
import { type DataItem, parseStoredItem, verifyDataItem } from '../../../src/protocol/data-item.ts'
import { draftPromise, parsePromise } from '../../../src/protocol/delivery-promise.ts'
import type { Id, MessageId, ProcessId } from '../../../src/protocol/ids.ts'
import { messengerAnswers } from '../../../src/units/economy/messenger-answers.ts'
import { Respondent } from '../../../src/units/economy/respondent.ts'
import { schedulerAnswers } from '../../../src/units/economy/scheduler-answers.ts'
import { aMessage, processIdOf, testSigner } from '../../support/builders.ts'
import { Court } from '../../support/court.ts'
import { eventually } from '../../support/eventually.ts'
import { addressOf, dataOf, originId, originParams } from '../../support/origin.ts'
import { recorder } from '../../support/script-vm.ts'
import { type Disk, type NodeOptions, UnitNetwork, type UnitNode } from '../../support/unit-network.ts'

const { deliveryBlocks, responseBlocks, evidenceAgeBlocks } = originParams

describe('units/messenger: promises', () => {
  let net: UnitNetwork
  let su: UnitNode
  let mu: UnitNode
  let court: Court
  let process: ProcessId
  let item: DataItem
  /** While false, the MU reaches no SU. */
  let isReachable: boolean

  beforeEach(async () => {
    court = new Court()
    net = new UnitNetwork({ recorder }, court)
    isReachable = true
    su = await net.node('su', ['SU'])
    mu = await startMu()
    item = await net.spawn(mu, 'recorder', { scheduler: su.address })
    process = processIdOf(item)
    stake()
  })
  afterEach(() => net.stop())

  function startMu(disk?: Disk, options: NodeOptions['messenger'] = {}): Promise<UnitNode> {
    return net.node('mu', ['MU'], {
      ...(disk === undefined ? {} : { disk }),
      court: { origin: originId, economy: court },
      messenger: options,
      wrap: {
        scheduler: unit => ({
          schedule: (...asked) => (isReachable ? unit.schedule(...asked) : Promise.reject(new Error('cut off'))),
          assign: (...asked) => unit.assign(...asked),
          assignment: (...asked) => (isReachable ? unit.assignment(...asked) : Promise.reject(new Error('cut off'))),
          clock: (...asked) => unit.clock(...asked),
          process: (...asked) => unit.process(...asked),
          read: (...asked) => unit.read(...asked),
        }),
      },
    })
  }

  /** Both units have a stake, so that a slash would show. */
  function stake(): void {
    court.act('faucet', 'Transfer', { Recipient: addressOf('owner'), Quantity: String(2000n * oneAo) })
    for (const [name, Role, quantity] of [
      ['mu', 'MU', 100n],
      ['su', 'SU', 1000n],
    ] as const) {
      court.act('owner', 'Stake', { Role, Operator: addressOf(name), Quantity: String(quantity * oneAo) })
      court.act(name, 'Register-Operator', { Role, 'Owner-Account': addressOf('owner') })
    }
    court.pass(originParams.periodBlocks * (originParams.activationPeriods + 1))
    assert.equal(court.standing('MU', mu.address), 'active')
  }

  const promise = async (data: string): Promise<{ promise: DataItem; message: DataItem }> => {
    const message = await aMessage(process, { data })
    return { message, promise: await mu.messenger.promise(message.raw) }
  }
  const orderedAs = ({ id }: DataItem) => su.disk.log.find(process, id as Id as MessageId)
  /** The deadline is over, and somebody asks. */
  function ask(given: DataItem): void {
    court.mail.height = Math.max(court.mail.height, parsePromise(given).deadline + 1)
    court.act('challenger', 'Challenge', { Kind: 'F8' }, dataOf(given.raw))
  }
  const respondentOf = (name: 'mu' | 'su'): Respondent => {
    const unit = name === 'mu' ? mu : su
    const log = su.disk.log
    return new Respondent({
      ...{ address: unit.address, origin: originId, economy: court, telemetry: silentTelemetry },
      mail: court.mailOf(name, net.arweave),
      answers:
        name === 'mu'
          ? messengerAnswers({
              messenger: mu.mu ?? assert.fail('no MU'),
              scheduler: {
                assignment: (...asked) =>
                  isReachable ? mu.scheduler.assignment(...asked) : Promise.reject(new Error('cut off')),
              },
              routes: { process: async () => ({ item, spec: { scheduler: su.address } as never }) },
              economy: court,
            })
          : schedulerAnswers({ log, scheduler: su.su ?? assert.fail('no SU'), item: async () => court.brought }),
    })
  }

  it('are signed at once, name message, target and a height, and are kept without being asked for', async () => {
    isReachable = false
    const { promise: given, message } = await promise('later')
    const read = parsePromise(await verifyDataItem(given.raw))
    assert.deepEqual(
      [read.messenger, read.message, read.process, read.deadline],
      [mu.address, message.id, process, (await net.arweave.head()).height + deliveryBlocks],
    )
    assert.equal((await mu.messenger.promise(message.raw)).id, given.id, 'the same for the same message')
    await new Promise(done => setTimeout(done, 60))
    assert.equal(await orderedAs(message), undefined)
    isReachable = true
    const { nonce } = await eventually('it is ordered', () => orderedAs(message))
    const kept = await eventually('the MU notes it', async () => {
      const row = await mu.disk.promises.get(message.id as Id as MessageId)
      return row?.assignment && row
    })
    assert.equal(kept.deadline, read.deadline)
    const again = await mu.messenger.submit(message.raw)
    assert.equal(again.nonce, nonce, 'once')
    const job = await mu.disk.queue.get(process, message.id as Id as MessageId)
    assert.notEqual(job, undefined, 'and what it sets off is pushed')
  })

  it('are kept over a restart of the MU', async () => {
    isReachable = false
    const { message } = await promise('survives')
    await mu.stop()
    mu = await startMu(mu.disk)
    isReachable = true
    await eventually('it is ordered', () => orderedAs(message))
  })

  it('are given only by an MU that can lose a stake, for what AO-Sec Origin can judge, and only so many', async () => {
    const large = await aMessage(process, { data: 'x'.repeat(70_000) })
    await assert.rejects(mu.messenger.promise(large.raw), { code: 'UNSUPPORTED' })
    await assert.rejects(mu.messenger.promise(item.raw), { code: 'UNSUPPORTED' }, 'a spawn')
    const toOrigin = await aMessage(originId, {})
    await assert.rejects(mu.messenger.promise(toOrigin.raw), { code: 'UNSUPPORTED' })
    const lost = await aMessage('A'.repeat(43) as ProcessId, {})
    await assert.rejects(mu.messenger.promise(lost.raw), { code: 'UNKNOWN_PROCESS' })
    await mu.stop()
    mu = await startMu(mu.disk, { maxPromises: 1 })
    await promise('one')
    await assert.rejects(promise('two'), { code: 'OVERLOADED' })
    const { shares } = [...court.state.pools.entries()].find(([key]) => key === `MU ${mu.address}`)?.[1] ?? {
      shares: 0n,
    }
    if (shares > 0n) court.act('owner', 'Unstake', { Role: 'MU', Operator: mu.address, Shares: String(shares) })
    await assert.rejects(promise('three'), { code: 'NOT_READY' })
  })

  it('cannot be asked for before their time, or when nobody has to remember them', async () => {
    const { promise: given } = await promise('in time')
    const { deadline } = parsePromise(given)
    for (const height of [deadline, deadline + evidenceAgeBlocks - deliveryBlocks - responseBlocks + 1]) {
      court.mail.height = height
      court.act('challenger', 'Challenge', { Kind: 'F8' }, dataOf(given.raw))
      assert.equal(court.state.challenges.size, 0, `at ${height}`)
    }
  })

  it('cost an MU its stake that neither keeps them nor answers', async () => {
    isReachable = false
    const { promise: given } = await promise('forgotten')
    ask(given)
    assert.equal(court.state.challenges.size, 1)
    court.pass(responseBlocks + 1)
    assert.deepEqual(court.verdicts, ['F8'])
    court.pass(originParams.slashDelayBlocks + 1)
    const [offence] = [...court.state.offences.entries()].map(([, row]) => row)
    assert.equal(offence?.slashed, (100n * oneAo * 50n) / 10_000n)
    assert.equal(court.standing('MU', mu.address), 'jailed')
  })

  it('cost nothing if the message is ordered: the MU shows that, and earns half of the bond', async () => {
    const { promise: given, message } = await promise('kept')
    await eventually('it is ordered', () => orderedAs(message))
    const balance = (): bigint => court.state.balances.get(addressOf('owner')) ?? 0n
    const before = balance()
    ask(given)
    await respondentOf('mu').tick()
    assert.equal(court.state.challenges.size, 0)
    assert.equal(balance() - before, oneAo, 'to the owner of its stake')
    court.pass(responseBlocks + originParams.slashDelayBlocks + 1)
    assert.deepEqual(court.verdicts, [])
  })

  it('pass on to the SU that does not order the message: then it has to, or is guilty in the place of the MU', async () => {
    isReachable = false
    for (const answers of [true, false]) {
      const { promise: given, message } = await promise(`refused ${answers}`)
      ask(given)
      await respondentOf('mu').tick()
      const [[id, row] = assert.fail('nobody is asked')] = [...court.state.challenges.entries()]
      assert.deepEqual([row.kind, row.accused, row.message], ['F3', su.address, message.id])
      if (!answers) break
      // The message that passed it on is what the SU reads the message in.
      court.brought = await testSigner('mu').sign({ data: Buffer.from(dataOf(message.raw, item.raw)), tags: [] })
      assert.notEqual(id, undefined)
      await respondentOf('su').tick()
      assert.equal(court.state.challenges.size, 0)
      assert.notEqual(await orderedAs(message), undefined)
      assert.deepEqual(court.verdicts, [])
    }
    court.pass(responseBlocks + 1)
    assert.deepEqual(court.verdicts, ['F3'])
    assert.equal(court.standing('MU', mu.address), 'active')
  })

  it('blame nobody while nobody hosts the target, and the bond goes back', async () => {
    isReachable = false
    const { promise: given } = await promise('no host')
    const tags = { Kind: 'F3', Accused: su.address }
    court.act('faucet', 'Challenge', tags, dataOf((await aMessage(process, { data: 'other' })).raw, item.raw))
    court.pass(responseBlocks + 1)
    assert.equal(court.state.hosts.get(process)?.phase, 'bidding')
    const before = court.state.balances.get(addressOf('challenger'))
    ask(given)
    await respondentOf('mu').tick()
    assert.equal(court.state.challenges.size, 0)
    assert.equal(court.state.balances.get(addressOf('challenger')), before)
    assert.ok(
      court.state.hosts.get(process)?.queue.some(({ message }) => message === parsePromise(given).message),
      'the next host is told',
    )
    court.pass(responseBlocks + 1)
    assert.deepEqual(court.verdicts, ['F3'], 'of the SU alone')
  })

  it('can be passed on by nobody but the MU, and with no other message', async () => {
    isReachable = false
    const { promise: given, message } = await promise('mine')
    ask(given)
    const [id] = court.state.challenges.keysInOrder()
    const other = await aMessage(process, { data: 'another' })
    court.act('challenger', 'Respond', { Challenge: id ?? '' }, dataOf(message.raw, item.raw))
    court.act('mu', 'Respond', { Challenge: id ?? '' }, dataOf(other.raw, item.raw))
    court.act('mu', 'Respond', { Challenge: id ?? '' }, dataOf(message.raw))
    assert.deepEqual(court.state.challenges.keysInOrder(), [id])
    assert.equal(court.state.challenges.get(id ?? '')?.kind, 'F8')
  })

  it('are forgotten once nobody may ask for them', async () => {
    const { message } = await promise('old')
    await eventually('it is ordered', () => orderedAs(message))
    await eventually('it is noted', async () => (await mu.disk.promises.heads())[0]?.isOrdered)
    court.pass(deliveryBlocks + evidenceAgeBlocks + (await net.arweave.head()).height + 1)
    await eventually('it is gone', async () => (await mu.disk.promises.heads()).length === 0)
  })

  it('of somebody else are nobody’s debt: only what an MU has signed counts', async () => {
    const message = await aMessage(process, { data: 'forged' })
    const forged = await testSigner('forger').sign(
      draftPromise({ process, message: message.id as Id as MessageId, deadline: 1 }),
    )
    ask(forged)
    court.pass(responseBlocks + 1)
    assert.equal(court.state.operators.get(`MU ${mu.address}`)?.jailed, false)
    assert.throws(() => parsePromise(parseStoredItem(packBundle([message]))))
  })
})

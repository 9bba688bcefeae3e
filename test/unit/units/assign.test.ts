import assert from 'node:assert/strict'
import { utf8 } from '../../../src/lib/bytes.ts'
import type { Json } from '../../../src/lib/json.ts'
import type { CrankProgress } from '../../../src/ports/units.ts'
import { packBundle } from '../../../src/protocol/bundle.ts'
import type { DataItem } from '../../../src/protocol/data-item.ts'
import type { MessageId } from '../../../src/protocol/ids.ts'
import { tagsOf } from '../../../src/protocol/tags.ts'
import { aMessage, anId, anItem, processIdOf, testSigner } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { to } from '../../support/push-bench.ts'
import type { Script } from '../../support/script-vm.ts'
import { UnitNetwork, type UnitNode } from '../../support/unit-network.ts'

/** Answers with the message as it sees it. */
const mirror: Script = (state, message) => ({ state, answer: { Output: message } })
/** Sends the outbox that its message's data is. */
const puppet: Script = (state, message) => ({
  state,
  answer: message['Data'] === '1984' ? {} : JSON.parse(String(message['Data'])),
})

describe('assigning what is on Arweave already', () => {
  let net: UnitNetwork
  let node: UnitNode
  let process: DataItem
  beforeEach(async () => {
    net = new UnitNetwork({ mirror, puppet })
    node = await net.node('all', ['MU', 'SU', 'CU'])
    process = await net.spawn(node, 'mirror')
  })
  afterEach(() => net.stop())

  const anUploaded = async (data = 'found on Arweave'): Promise<DataItem> => {
    const item = await anItem({
      target: testSigner('somebody').address,
      data: utf8(data),
      tags: tagsOf(['Action', 'Tell']),
    })
    await net.arweave.upload(item)
    return item
  }
  const assign = (item: MessageId, options: { baseLayer?: boolean; exclude?: readonly string[]; of?: DataItem } = {}) =>
    node.messenger.assign({
      process: processIdOf(options.of ?? process),
      ...{ item, baseLayer: options.baseLayer ?? false, exclude: options.exclude ?? [] },
    })
  const seen = async (item: MessageId, of = process): Promise<Record<string, Json>> => {
    const { result } = await node.compute.result(processIdOf(of), item)
    return result.output as Record<string, Json>
  }

  it('evaluates the item with its own target and owner, at a nonce of the Process', async () => {
    const item = await anUploaded()
    const assignment = await assign(item.id)
    assert.deepEqual([assignment.nonce, assignment.message], [1, item.id])
    const message = await seen(item.id)
    assert.deepEqual(
      ['Id', 'Target', 'Owner', 'From', 'Data', 'Nonce', 'Message', 'Cron'].map(field => message[field]),
      [item.id, item.target, item.owner, item.owner, 'found on Arweave', 1, item.id, false],
    )
  })

  it('leaves out the fields that are excluded', async () => {
    const item = await anUploaded()
    const { exclude } = await assign(item.id, { exclude: ['Data', 'Tags', 'Anchor', 'Signature'] })
    assert.deepEqual(exclude, ['Data', 'Tags', 'Anchor', 'Signature'])
    const message = await seen(item.id)
    assert.deepEqual([message['Tags'], message['Owner']], [[], item.owner])
    for (const field of ['Data', 'Anchor', 'Signature']) assert.equal(field in message, false, field)
  })

  it('gives one item one place, however often and with whatever fields it is assigned', async () => {
    const item = await anUploaded()
    const [first, again] = await Promise.all([assign(item.id), assign(item.id, { exclude: ['Data'] })])
    assert.equal(again.id, first.id)
    assert.equal((await assign(item.id)).id, first.id)
    // A message that was sent here before has its place already.
    const message = await aMessage(process)
    const sent = await node.messenger.submit(message.raw)
    assert.equal((await assign(message.id)).id, sent.id)
  })

  it('refuses what Arweave does not have, and fields that are none', async () => {
    await assert.rejects(assign(anId<MessageId>('nowhere')), { code: 'UNKNOWN_MESSAGE' })
    const item = await anUploaded()
    await assert.rejects(assign(item.id, { exclude: ['Da ta'] }), { code: 'INVALID_ARGUMENT' })
    await assert.rejects(assign(item.id, { of: await anItem() }), { code: 'UNKNOWN_PROCESS' })
    assert.equal((await node.scheduler.assignment(processIdOf(process), 'newest')).nonce, 0)
  })

  it('says which item is missing while Arweave lacks it, and goes on once it is there', async () => {
    const su = await net.node('su', ['SU'])
    const later = await net.spawn(su, 'mirror', { name: 'later', scheduler: su.address })
    const item = await anItem({ data: utf8('comes and goes') })
    const bundle = await net.arweave.prepare(packBundle([item]))
    await net.arweave.post(bundle)
    // Straight at the SU: nobody asks for the result before the item is lost.
    await su.scheduler.assign({ process: processIdOf(later), item: item.id, baseLayer: false, exclude: [] })
    net.arweave.drop(bundle.id)
    await assert.rejects(seen(item.id, later), { code: 'UNKNOWN_MESSAGE', message: /does not have the item/ })
    await net.arweave.upload(item)
    assert.equal((await seen(item.id, later))['Data'], 'comes and goes')
  })

  describe('a transaction of Arweave itself', () => {
    const aTransaction = async (): Promise<MessageId> => {
      const prepared = await net.arweave.prepare(packBundle([await anItem({ data: utf8('inside') })]))
      await net.arweave.post(prepared)
      return prepared.id as MessageId
    }
    const mine = (blocks: number): void => {
      for (let i = 0; i < blocks; i++) net.arweave.mine()
    }

    it('is taken once it has 20 confirmations, whether the caller says that it is one or not', async () => {
      const tx = await aTransaction()
      mine(19)
      for (const baseLayer of [true, false]) {
        await assert.rejects(assign(tx, { baseLayer }), { message: 'Not enough confirmations to assign' })
      }
      mine(1)
      await assign(tx, { baseLayer: true, exclude: ['Data'] })
      assert.equal((await seen(tx))['Id'], tx)
    })

    it('needs as many as the Settlement-Depth of the Process says', async () => {
      const shallow = await net.spawn(node, 'mirror', { name: 'shallow', tags: tagsOf(['Settlement-Depth', '3']) })
      const tx = await aTransaction()
      mine(2)
      await assert.rejects(assign(tx, { of: shallow, baseLayer: true }), { code: 'UNKNOWN_MESSAGE' })
      mine(1)
      assert.equal((await assign(tx, { of: shallow, baseLayer: true })).nonce, 1)
    })

    it('is not what an item of a bundle is', async () => {
      const item = await anUploaded()
      await assert.rejects(assign(item.id, { baseLayer: true }), { hint: /without base-layer/ })
    })
  })

  describe('out of an outbox', () => {
    let sender: DataItem
    let other: DataItem
    beforeEach(async () => {
      sender = await net.spawn(node, 'puppet', { name: 'sender' })
      other = await net.spawn(node, 'mirror', { name: 'other' })
    })
    const send = async (outbox: object): Promise<readonly CrankProgress[]> => {
      const message = await aMessage(sender, { data: JSON.stringify(outbox) })
      await node.messenger.submit(message.raw)
      const jobs = new Map<string, CrankProgress>()
      for await (const job of node.messenger.follow(processIdOf(sender), message.id)) {
        jobs.set(`${job.process} ${job.message}`, job)
      }
      return [...jobs.values()]
    }

    it('orders the item in each Process named, and cranks what it sets off there', async () => {
      const item = await anUploaded()
      const ids = [process, other].map(processIdOf)
      const jobs = await send({ Assignments: [{ Message: item.id, Processes: ids, Exclude: ['Tags'] }] })
      const [part] = jobs.find(job => job.process === processIdOf(sender))?.parts ?? []
      assert.deepEqual([part?.kind, part?.state, part?.message], ['assignment', 'pushed', item.id])
      assert.deepEqual(
        jobs
          .filter(({ message }) => message === item.id)
          .map(job => job.process)
          .sort(),
        ids.sort(),
      )
      for (const to of [process, other]) assert.deepEqual((await seen(item.id, to))['Tags'], [])
    })

    it('says which Process refused it, and orders it in the others', async () => {
      const item = await anUploaded()
      const [job] = await send({ Assignments: [{ Message: item.id, Processes: [processIdOf(process), 'nobody'] }] })
      assert.match(String(job?.parts[0]?.reason), /1 of 2 Processes refused it: INVALID_ARGUMENT: .*not an id/)
      assert.equal((await seen(item.id))['Id'], item.id)
    })

    it('brings a message with the tag Assignments to Arweave, and to those Processes too', async () => {
      const tags = [{ name: 'Assignments', value: [processIdOf(other)] as unknown as string }]
      const jobs = await send({ Messages: [to(processIdOf(process), 'for both', tags)] })
      const pushed = jobs.find(job => job.process === processIdOf(sender))?.parts[0]?.message
      assert.ok(pushed)
      const [direct, assigned] = [await seen(pushed), await seen(pushed, other)]
      assert.deepEqual([direct['Data'], assigned['Data']], ['for both', 'for both'])
      assert.deepEqual([direct['Target'], assigned['Target']], [processIdOf(process), processIdOf(process)])
    })
  })

  it('tells a Process of the spawn whose item names it as target', async () => {
    const child = await net.spawn(node, 'mirror', { name: 'child', target: processIdOf(process) })
    const told = await eventually('the spawn at its target', () =>
      node.scheduler.assignment(processIdOf(process), child.id).catch(() => undefined),
    )
    assert.equal(told.nonce, 1)
    assert.equal((await seen(child.id))['Id'], child.id)
  })
})

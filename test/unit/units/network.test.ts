import assert from 'node:assert/strict'
import type { Json } from '../../../src/lib/json.ts'
import type { CrankProgress } from '../../../src/ports/units.ts'
import type { VmMessage } from '../../../src/ports/vm.ts'
import { type Assignment, checkFollows } from '../../../src/protocol/assignment.ts'
import type { Id, Nonce } from '../../../src/protocol/ids.ts'
import { tagValue } from '../../../src/protocol/tags.ts'
import { aMessage, processIdOf } from '../../support/builders.ts'
import { eventually } from '../../support/eventually.ts'
import { recorder, type Script } from '../../support/script-vm.ts'
import { UnitNetwork, type UnitNode } from '../../support/unit-network.ts'

const tagOf = (message: VmMessage, name: string): string | undefined =>
  tagValue(message['Tags'] as unknown as { name: string; value: string }[], name)

/** Answers whoever sends Ping with Pong and Pong with Ping, until the count in the data is used up. */
const pingPong: Script = (state, message) => {
  const action = tagOf(message, 'Action')
  const left = Number(message['Data'])
  const log = [...((state as Json[] | null) ?? []), `${action ?? 'boot'} ${message['Data']}`]
  const peer = action === 'Start' ? tagOf(message, 'Peer') : String(message['From'])
  if (action === undefined || left === 0) return { state: log, answer: { Output: log } }
  const Tags = [{ name: 'Action', value: action === 'Ping' ? 'Pong' : 'Ping' }]
  return { state: log, answer: { Output: log, Messages: [{ Target: peer, Anchor: '', Tags, Data: String(left - 1) }] } }
}

describe('a network of units in memory', () => {
  let net: UnitNetwork
  let su: UnitNode
  let cu1: UnitNode
  let cu2: UnitNode
  let mu: UnitNode

  beforeEach(async () => {
    net = new UnitNetwork({ recorder, pingPong })
    su = await net.node('su', ['SU'])
    cu1 = await net.node('cu1', ['CU'])
    cu2 = await net.node('cu2', ['CU'])
    mu = await net.node('mu', ['MU'])
  })
  afterEach(() => net.stop())

  const follow = async (node: UnitNode, item: Parameters<typeof processIdOf>[0], message: Id) => {
    const newest = new Map<string, CrankProgress>()
    for await (const progress of node.messenger.follow(processIdOf(item), message as never)) {
      newest.set(`${progress.process} ${progress.message}`, progress)
    }
    return [...newest.values()]
  }

  it('takes a message from any node to its result: MU, SU, CU', async () => {
    const item = await net.spawn(cu1, 'recorder')
    const message = await aMessage(item, { data: 'hello' })
    const { nonce } = await cu2.messenger.submit(message.raw)
    const { result } = await su.compute.result(processIdOf(item), message.id)
    assert.equal(nonce, 1)
    assert.deepEqual((result.output as { seen: string[] }).seen, ['1984', 'hello'])
  })

  it('lets two Processes converse until they are done, each message once and in order', async () => {
    const ping = await net.spawn(mu, 'pingPong', { name: 'ping' })
    const pong = await net.spawn(mu, 'pingPong', { name: 'pong' })
    const tags = [
      { name: 'Action', value: 'Start' },
      { name: 'Peer', value: processIdOf(pong) },
    ]
    const start = await aMessage(ping, { data: '7', tags })
    await mu.messenger.submit(start.raw)
    const jobs = await follow(mu, ping, start.id)
    assert.ok(
      jobs.every(({ state }) => state === 'done'),
      JSON.stringify(jobs),
    )
    assert.equal(jobs.length, 8)
    const said = async (item: typeof ping) => {
      const { nonce } = await su.scheduler.assignment(processIdOf(item), 'newest')
      return (await cu1.compute.result(processIdOf(item), nonce)).result.output
    }
    assert.deepEqual(await said(ping), ['boot 1984', 'Start 7', 'Pong 5', 'Pong 3', 'Pong 1'])
    assert.deepEqual(await said(pong), ['boot 1984', 'Ping 6', 'Ping 4', 'Ping 2', 'Ping 0'])
  })

  it('gives the next result from another CU when the first is gone, with the same state', async () => {
    const item = await net.spawn(mu, 'recorder')
    const process = processIdOf(item)
    await mu.messenger.submit((await aMessage(item, { data: 'one' })).raw)
    const before = await mu.compute.result(process, 1 as Nonce)
    const warm = cu1.pool.handled.length > 0 ? cu1 : cu2
    assert.equal((warm === cu1 ? cu2 : cu1).pool.handled.length, 0, 'both CUs evaluated')
    net.network.down.add(warm.address)
    await mu.messenger.submit((await aMessage(item, { data: 'two' })).raw)
    const after = await mu.compute.result(process, 2 as Nonce)
    assert.deepEqual((after.result.output as { seen: string[] }).seen, ['1984', 'one', 'two'])
    const again = await mu.compute.result(process, 1 as Nonce)
    assert.equal(again.result.stateRoot, before.result.stateRoot)
    assert.notDeepEqual(again.attestation, before.attestation, 'the same CU answered')
    assert.ok(net.network.reports.some(({ address, outcome }) => address === warm.address && outcome === 'failed'))
  })

  it('settles the whole log on Arweave, where it can be read back and followed', async () => {
    const item = await net.spawn(mu, 'recorder')
    for (const data of ['a', 'b', 'c']) await mu.messenger.submit((await aMessage(item, { data })).raw)
    await eventually('settled', async () => {
      net.arweave.mine()
      return (await su.settler.status()).unsettled === 0
    })
    let previous: Assignment | undefined
    for await (const { assignment, message } of su.scheduler.read(processIdOf(item), { from: 0 as Nonce })) {
      checkFollows(processIdOf(item), previous, assignment)
      previous = assignment
      assert.deepEqual((await net.arweave.item(assignment.id))?.raw, assignment.raw)
      assert.ok(message && (await net.arweave.item(message.id)))
    }
    assert.equal(previous?.nonce, 3)
  })

  it('keeps warm Processes up to date through gossip, before anybody asks', async () => {
    const item = await net.spawn(mu, 'recorder')
    await mu.compute.result(processIdOf(item), 0 as Nonce)
    const [warm] = [cu1, cu2].filter(({ pool }) => pool.handled.length > 0)
    assert.ok(warm)
    await su.scheduler.schedule(await aMessage(item, { data: 'not through the MU, so nobody cranks it' }))
    await eventually('the result', () => warm.disk.results.get(processIdOf(item), 1 as Nonce))
  })

  it('runs all roles in one node just the same', async () => {
    const all = await net.node('all', ['SU', 'CU', 'MU'])
    const item = await net.spawn(all, 'recorder', { scheduler: all.address })
    await all.messenger.submit((await aMessage(item)).raw)
    assert.equal((await all.compute.result(processIdOf(item), 1 as Nonce)).result.nonce, 1)
    assert.equal((await mu.compute.result(processIdOf(item), 1 as Nonce)).result.nonce, 1)
  })
})
